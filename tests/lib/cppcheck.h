/* SPDX-License-Identifier: GPL-2.0-or-later */
/* cppcheck.h - macros of libraries, whose headers cppcheck does not read
 *
 * Given to cppcheck by tests/run.sh, never compiled.
 */
#define LIBBPF_OPTS(type, name, ...)         struct type name = { __VA_ARGS__ }
#define DECLARE_LIBBPF_OPTS(type, name, ...) struct type name = { __VA_ARGS__ }
#define DECLARE_LIBXDP_OPTS(type, name, ...) struct type name = { __VA_ARGS__ }
#define mnl_attr_for_each(attr, nlh, offset)                                 \
	for ((attr) = mnl_nlmsg_get_payload_offset((nlh), (offset)); (attr); \
	     (attr) = mnl_attr_next(attr))
#define mnl_attr_for_each_nested(attr, nest)              \
	for ((attr) = mnl_attr_get_payload(nest); (attr); \
	     (attr) = mnl_attr_next(attr))
