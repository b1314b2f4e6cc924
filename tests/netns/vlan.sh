#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# vlan.sh - guest memory crosses a VLAN: the device is the physical one, the
# addresses are those of the VLAN device on top of it

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig vlan
ram_make "$GUEST" 32

scenario_vlan() {
	net_up queues=4 mtu=9000 vlan=100
	attach_both
	migrate "$GUEST" recv:--listen "recv:$DST4"
	PEER="[$DST6]" migrate "$GUEST" recv:--listen "recv:$DST6"
	detach_both
}

# Without offloads the tag is in the frame and not beside it.
scenario_vlan_tags_in_the_frame() {
	net_up queues=4 mtu=1500 vlan=100 offloads=0
	attach_both
	migrate "$GUEST" recv:--listen "recv:$DST4"
	detach_both
}

scenario_generic() {
	net_up queues=1 mtu=9000 vlan=7
	attach_both --mode generic
	PEER="[$DST6]" migrate "$GUEST" recv:--listen "recv:$DST6"
	detach_both
}

run_scenarios "$@"
