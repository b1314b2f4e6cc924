#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# trust.sh - who gets in at the control port, and who does not: keys, certificates,
# plain TCP, strangers.  Whatever happens, recv waits on for who may come.

# shellcheck source=tests/netns/lib.sh
. "${0%/*}/lib.sh"
# shellcheck source=tests/netns/session.sh
. "${0%/*}/session.sh"
needs xdpmig python3 openssl
ram_make "$GUEST" 4
BARE=(--config /dev/null) # without the script's key

# refused_here PATTERN: recv said so of a comer, and waits on
refused_here() {
	wait_for 5 grep -qE "^xdpmig: warning: .*$1" "$(err_of recv)"
	kill -0 "$(pid_of recv)"
}

# turned_away PATTERN [OPTION...]: send is not let in, and says so
turned_away() {
	local pattern=$1

	shift
	send_start "$GUEST" "$@"
	send_end 15
	assert_eq "$SEND_RC" 3 "send $*"
	said send refused "$pattern"
	home send source
	[ ! -e "$COPY" ] || fail "memory was made for a stranger"
	assert_not_live
}

# gets_in [OPTION...]: this one is
gets_in() {
	send_start "$GUEST" "$@"
	ended 0 0
	check_results "$GUEST"
	assert_same_file "$GUEST" "$COPY" "guest memory"
	rm "$COPY"
	assert_clean
}

# -- what is said on the command line ------------------------------------------------

# usage_error PATTERN ARGUMENT...: both send and recv say so
usage_error() {
	local pattern=$1

	shift
	run src "$XDPMIG" send --json --ram "$GUEST" "$@" 203.0.113.1
	assert_eq "$RC" 2 "send $*"
	assert_grep "$pattern" "$ERR" "send $*"
	run dst "$XDPMIG" recv --json --ram "$COPY" "$@"
	assert_eq "$RC" 2 "recv $*"
	assert_grep "$pattern" "$ERR" "recv $*"
}

scenario_usage() {
	net_up queues=1
	usage_error "keygen" "${BARE[@]}"
	usage_error "keygen" "${BARE[@]}" --dry-run
	usage_error "not several" "${BARE[@]}" --key "$KEY" --insecure
	usage_error "not several" "${BARE[@]}" --key "$KEY" --cert "$KEY"
	usage_error "--ca is missing" "${BARE[@]}" --cert "$KEY" \
		--private-key "$KEY"
	usage_error "--peer-name is a certificate" --peer-name host
	usage_error "nothing: No such file" --key "$TMP/nothing"
	usage_error "no certificate" "${BARE[@]}" --cert "$KEY" \
		--private-key "$KEY" --ca "$KEY"
	cp "$KEY" "$TMP/open"
	chmod 640 "$TMP/open"
	usage_error "$TMP/open has mode 0640, so others may read it" \
		--key "$TMP/open"
	echo "short:00112233" >"$TMP/open"
	chmod 600 "$TMP/open"
	usage_error "shorter than 32 bytes" --key "$TMP/open"
}

scenario_keygen() {
	(umask 0 && run here "$XDPMIG" keygen --json "$TMP/new" &&
		assert_eq "$RC" 0 "keygen")
	assert_eq "$(stat -c %a "$TMP/new")" 600 "its mode"
	assert_grep '^xdpmig-[0-9a-f]{8}:[0-9a-f]{64}$' "$TMP/new" "its line"
	cp "$TMP/new" "$TMP/before"
	run here "$XDPMIG" keygen "$TMP/new"
	assert_eq "$RC" 2 "keygen of a file that is there"
	assert_same_file "$TMP/new" "$TMP/before" "it"
	run here "$XDPMIG" keygen
	assert_eq "$RC" 2 "keygen of no file"
	net_up queues=1
	attach_both
	recv_start --key "$TMP/new"
	gets_in --key "$TMP/new"
	assert_jq '.trust == "key"' "$(out_of send)" "send"
	assert_jq '.trust == "key"' "$(out_of recv)" "recv"
	assert_no_grep warning "$(err_of recv)" "recv"
	detach_both
}

# -- keys ---------------------------------------------------------------------------------

scenario_wrong_keys() {
	net_up queues=1
	attach_both
	recv_start
	run here "$XDPMIG" keygen "$TMP/other"
	turned_away "has it the same --key" --key "$TMP/other"
	refused_here "has not the key of our --key"
	# the same name
	sed 's/.$/0/; t' "$KEY" | tr 0-9 1-90 >"$TMP/alike"
	chmod 600 "$TMP/alike"
	turned_away "has it the same --key" --key "$TMP/alike"
	gets_in
	detach_both
}

# not_in_memory PID HEX...: neither these bytes are there, nor how they are written,
# nor what else is said as =TEXT
not_in_memory() {
	python3 - "$@" <<-'END' || fail "a key is in the memory of $1"
		import sys
		pid, wanted = sys.argv[1], []
		for w in sys.argv[2:]:
		    if w[0] == '=':
		        wanted.append(w[1:].encode())
		    else:
		        wanted += [w.encode(), bytes.fromhex(w)]
		seen = 0
		with open(f'/proc/{pid}/mem', 'rb', 0) as mem:
		    for line in open(f'/proc/{pid}/maps'):
		        span, mode = line.split()[:2]
		        if mode[0] != 'r' or '[v' in line:
		            continue
		        a, b = (int(x, 16) for x in span.split('-'))
		        if b - a > 1 << 30: # a sanitizer's own
		            continue
		        try:
		            mem.seek(a)
		            data = mem.read(b - a)
		        except OSError:
		            continue
		        seen += len(data)
		        if any(w in data for w in wanted):
		            sys.exit('in ' + line)
		if seen < 1000000:
		    sys.exit(f'only {seen} bytes seen')
	END
}

# The bytes of the file are nowhere in the process that was given it, nor may any
# process of the same user look.
scenario_key_in_memory() {
	net_up queues=1
	attach_both
	recv_start
	not_in_memory "$(pid_of recv)" "$(sed 's/.*://' "$KEY")"
	assert_eq "$(stat -c %U "/proc/$(pid_of recv)/mem")" root "owner"
	stop recv
	detach_both
}

# What the environment asks the TLS library for.
scenario_keys_in_no_log() {
	local end

	net_up queues=1
	attach_both
	cat >"$TMP/logging" <<-EOF
		#!/bin/sh
		SSLKEYLOGFILE='$TMP/keylog' GNUTLS_DEBUG_LEVEL=99 exec '$XDPMIG' "\$@"
	EOF
	chmod +x "$TMP/logging"
	XDPMIG=$TMP/logging recv_start
	XDPMIG=$TMP/logging send_start "$GUEST" --encrypt
	ended 0 0
	rm "$COPY"
	[ ! -e "$TMP/keylog" ] || fail "keys were logged"
	for end in send recv; do
		# how it begins is no secret, and shows that it was asked
		assert_grep '^gnutls\[2\]' "$(err_of $end)" "$end"
		assert_no_grep '^gnutls\[([4-9]|[1-9][0-9])\]' "$(err_of $end)" "$end"
	done
	detach_both
}

# -- one end plain -------------------------------------------------------------------------

scenario_plain_at_both_ends() {
	local end

	net_up queues=1
	attach_both
	recv_start --insecure
	gets_in --insecure --quiet
	for end in send recv; do
		assert_grep '^xdpmig: warning: --insecure: ' "$(err_of $end)" $end
		assert_jq '.trust == "none"' "$(out_of $end)" "$end"
	done
	detach_both
}

scenario_plain_source() {
	net_up queues=1
	attach_both
	recv_start
	turned_away "the peer: TLS is spoken here, plain TCP is not" --insecure
	refused_here "$SRC4:[0-9]+ speaks plain TCP: it was started with --insecure"
	gets_in
	detach_both
}

scenario_plain_destination() {
	net_up queues=1
	attach_both
	recv_start --insecure
	send_start "$GUEST"
	send_end 15
	assert_ne "$SEND_RC" 0 "send"
	said send peer_lost "was it started with --insecure\?"
	home send source
	refused_here "speaks TLS: this end was started with --insecure"
	gets_in --insecure
	detach_both
}

# -- certificates ----------------------------------------------------------------------------

# ca NAME; cert NAME CA SUBJECT_ALT_NAMES [DAYS]
ca() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-days 2 -subj "/CN=$1" -keyout "$TMP/$1.key" -out "$TMP/$1.crt"
}

cert() {
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
		-subj "/CN=$1" -keyout "$TMP/$1.key" -out "$TMP/$1.csr" &&
		openssl x509 -req -in "$TMP/$1.csr" -CA "$TMP/$2.crt" \
			-CAkey "$TMP/$2.key" -CAcreateserial \
			-days "${4:-1}" -out "$TMP/$1.crt" \
			-extfile <(echo "subjectAltName=$3")
}

# certs NAME [CA]: options, in CERTS
certs() {
	CERTS=("${BARE[@]}" --cert "$TMP/$1.crt" --private-key "$TMP/$1.key"
		--ca "$TMP/${2:-ca}.crt")
}

scenario_certificates() {
	net_up queues=1
	{
		ca ca
		ca foreign-ca
		cert source ca DNS:source.test
		cert target ca "DNS:target.test,IP:$DST4"
		cert stranger foreign-ca DNS:source.test
		cert old ca DNS:source.test -1
	} >"$TMP/openssl.log" 2>&1 || fail "openssl"
	attach_both
	certs target
	recv_start "${CERTS[@]}" --peer-name source.test
	certs stranger
	turned_away "does not accept our certificate" "${CERTS[@]}"
	refused_here "is not trusted"
	certs old
	turned_away "does not accept our certificate" "${CERTS[@]}"
	refused_here "expired"
	certs target
	turned_away "does not accept our certificate" "${CERTS[@]}"
	refused_here "must be 'source.test'"
	certs source
	turned_away "It must be 'other.test'" "${CERTS[@]}" --peer-name other.test
	certs source foreign-ca
	turned_away "NOT trusted" "${CERTS[@]}"
	turned_away "has not the key of our --key" --key "$KEY"
	# the name is that of the peer which was connected to
	certs source
	gets_in "${CERTS[@]}"
	assert_jq '.trust == "certificate"' "$(out_of send)" "send"
	certs target
	recv_start "${CERTS[@]}"
	certs source
	gets_in "${CERTS[@]}" --peer-name target.test
	detach_both
}

listens() {
	dst ss -Hltn "sport = :61951" | grep -q .
}

# A peer that passes over the key and proves what it likes, as no peer of ours does.
scenario_a_certificate_instead_of_a_key() {
	local tls=(-tls1_3 -alpn xdpmig/1 -cert "$TMP/any.crt" -key "$TMP/any.key")

	net_up queues=1
	{
		ca ca
		cert any ca "IP:$DST4"
	} >"$TMP/openssl.log" 2>&1 || fail "openssl"
	attach_both
	spawn liar dst openssl s_server "${tls[@]}" -accept 61951 -rev -msg
	wait_for 5 listens
	turned_away "has not the key of our --key"
	assert_grep '^>>> .* Finished' "$(out_of liar)" "what it did"
	stop liar KILL
	recv_start
	run src openssl s_client "${tls[@]}" -connect "$DST4:61951"
	refused_here "has not the key of our --key"
	gets_in
	detach_both
}

# private_key FILE: what nobody may find, for not_in_memory
private_key() {
	openssl pkey -in "$1" -outform DER | python3 -c '
import sys
der = sys.stdin.buffer.read()
at = der.index(bytes.fromhex("0201010420")) + 5
print(der[at:at + 32].hex())'
	sed -n '2s/^/=/p' "$1"
}

# Who is forked has no use for it; a guest that is made up may be looked at.
scenario_private_key_in_children() {
	local key child

	net_up queues=1
	{
		ca ca
		cert source ca DNS:source.test
		cert target ca "IP:$DST4"
	} >"$TMP/openssl.log" 2>&1 || fail "openssl"
	mapfile -t key < <(private_key "$TMP/source.key")
	attach_both
	certs target
	recv_start "${CERTS[@]}"
	certs source
	spawn send src "$XDPMIG" send --dev "$SRC_DEV" --synthetic 4M,1M --json \
		--name held --pause-before-switchover "${CERTS[@]}" "$DST4"
	wait_for 20 grep -q "waiting for 'xdpmig continue'" "$(err_of send)"
	child=$(pgrep -P "$(pid_of send)")
	not_in_memory "$child" "${key[@]}"
	run src "$XDPMIG" continue held
	ended 0 0
	rm "$COPY"
	detach_both
}

# -- memory ------------------------------------------------------------------------------------

# encrypted BOOL: both say so of the last migration
encrypted() {
	local end

	for end in send recv; do
		assert_jq ".encrypted == $1" "$(out_of $end)" "$end"
	done
}

scenario_encrypt() {
	net_up queues=2
	attach_both
	usage_error "instead of --insecure" "${BARE[@]}" --insecure --encrypt
	recv_start
	gets_in
	encrypted false
	recv_start --encrypt
	send_start "$GUEST"
	ended 3 3
	said send refused "send --encrypt"
	home send source
	assert_clean
	recv_start
	gets_in --encrypt
	encrypted true
	# nothing goes out of guest memory itself
	assert_jq '.engine == "copy-staged" and .bytes_copied >= .bytes_sent' \
		"$(out_of send)" "send"
	recv_start --encrypt
	gets_in --encrypt --lock-budget 4M
	encrypted true
	detach_both
}

# on_the_wire [OPTION...]: how often a listener reads the guest's secret, or the name
# of its memory, while it is sent
on_the_wire() {
	recv_start
	relay_start --way ab --record "$TMP/wire"
	gets_in "$@"
	relay_stop
	grep -ao -e "$SECRET" -e ram0 "$TMP/wire" | sort | uniq -c >"$TMP/read" ||
		true
	rm "$TMP/wire"
}

# Everything that crosses, the control connection too.
scenario_what_a_listener_reads() {
	local SECRET=launch-code-0000

	net_up relay=1 queues=2
	attach_both
	python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.write(sys.argv[2].encode() * (1 << 16))' "$GUEST" "$SECRET"
	on_the_wire
	assert_grep "$SECRET" "$TMP/read" "memory that is not encrypted"
	assert_grep ram0 "$TMP/read" "headers that are not encrypted"
	on_the_wire --encrypt
	assert_eq "$(cat "$TMP/read")" "" "what a listener read"
	encrypted true
	detach_both
}

# -- clocks --------------------------------------------------------------------------------

YEAR=31622400

# clock SECONDS: $TMP/jumping is xdpmig on a host whose clock is set all the time, as
# clock_jump.c has it
clock() {
	cat >"$TMP/jumping" <<-EOF
		#!/bin/sh
		LD_PRELOAD='$BUILD/tests/netns/libclock_jump.so' XM_JUMP='$1' \
			ASAN_OPTIONS=verify_asan_link_order=0 \
			exec '$XDPMIG' "\$@"
	EOF
	chmod +x "$TMP/jumping"
}

# Deadlines, figures and keys do not go by the time of day.
scenario_clock_jumps() {
	local by

	net_up queues=2
	attach_both
	for by in $YEAR -$YEAR; do
		clock "$by"
		BEGAN=$(now_ms)
		XDPMIG=$TMP/jumping recv_start
		XDPMIG=$TMP/jumping gets_in
		assert_jq ".total_ms > 0 and .transfer_ms > 0 and
			.total_ms <= $(($(now_ms) - BEGAN))" "$(out_of send)" "times"
		assert_no_grep warning "$(err_of send)" "send"
	done
	detach_both
}

# Certificates do: a host that is wrong about the year takes none, and is told which.
scenario_certificates_and_a_wrong_clock() {
	net_up queues=1
	{
		ca ca
		cert source ca DNS:source.test
		cert target ca "IP:$DST4"
	} >"$TMP/openssl.log" 2>&1 || fail "openssl"
	attach_both
	certs target
	recv_start "${CERTS[@]}" --peer-name source.test
	certs source
	clock "$YEAR-"
	XDPMIG=$TMP/jumping turned_away "expired" "${CERTS[@]}"
	clock "-$YEAR-"
	XDPMIG=$TMP/jumping turned_away "not (yet )?(valid|activated)" "${CERTS[@]}"
	gets_in "${CERTS[@]}"
	detach_both
}

# -- strangers ---------------------------------------------------------------------------------

# strangers SCRIPT: a list all of connections, and does that with them
strangers() { # NUMBER SCRIPT
	spawn stranger src python3 -c "
import socket, sys, time
all = [socket.create_connection((sys.argv[1], 61951), 5) for _ in range($1)]
$2
print('done', flush=True)
time.sleep(600)" "$DST4"
	wait_for 10 grep -q "done" "$(out_of stranger)"
}

scenario_strangers() {
	net_up queues=1
	attach_both
	recv_start
	strangers 1 'all[0].sendall(b"GET / HTTP/1.0\r\n\r\n" * 100)'
	refused_here "no TLS 1.3 as ours"
	stop stranger KILL
	strangers 1 'all[0].close()'
	refused_here "closed the connection before it had said who it is"
	stop stranger KILL
	# a ClientHello that never ends
	strangers 1 'all[0].sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")'
	gets_in
	stop stranger KILL
	detach_both
}

# late: $TMP/late is xdpmig, and from SIGUSR2 on 11 s are over, as clock_jump.c has it
late() {
	cat >"$TMP/late" <<-EOF
		#!/bin/sh
		LD_PRELOAD='$BUILD/tests/netns/libclock_jump.so' XM_LATE=11 \
			ASAN_OPTIONS=verify_asan_link_order=0 \
			exec '$XDPMIG' "\$@"
	EOF
	chmod +x "$TMP/late"
}

all_are_accepted() {
	[ "$(dst ss -Hltn "sport = :61951" | awk '{ print $2 }')" = 0 ]
}

# Also when nobody else waits.
scenario_handshakes_have_ten_seconds() {
	net_up queues=1
	attach_both
	late
	XDPMIG=$TMP/late recv_start
	strangers 1 ''
	wait_for 5 all_are_accepted
	kill -USR2 "$(pid_of recv)"
	refused_here "did not finish the TLS handshake in 10 s"
	stop stranger KILL
	gets_in
	# and a source does not wait for ever, either
	recv_start
	kill -STOP "$(pid_of recv)"
	XDPMIG=$TMP/late send_start "$GUEST"
	wait_for 5 is_connected
	kill -USR2 "$(pid_of send)"
	send_end 5
	assert_eq "$SEND_RC" 1 "send"
	said send connect "did not finish the TLS handshake in time"
	home send source
	kill -CONT "$(pid_of recv)"
	gets_in
	detach_both
}

is_connected() {
	src ss -Htn state established "dport = 61951" | grep -q .
}

# Before it has proven who it is, and has heard who the other is.
scenario_cancelled_in_the_handshake() {
	net_up queues=1
	attach_both
	recv_start
	kill -STOP "$(pid_of recv)"
	send_start "$GUEST"
	wait_for 5 is_connected
	kill -INT "$(pid_of send)"
	send_end 5
	assert_eq "$SEND_RC" 4 "send"
	said send cancelled "cancelled by SIGINT"
	home send source
	kill -CONT "$(pid_of recv)"
	gets_in
	detach_both
}

# Who is silent keeps nobody waiting: not a few, and not as many as the door has room
# for three times over.
scenario_silent_strangers() {
	net_up queues=1
	attach_both
	recv_start
	strangers 7 ''
	BEGAN=$(now_ms)
	gets_in
	assert_between $(($(now_ms) - BEGAN)) 0 5000 "milliseconds, 7 strangers"
	stop stranger KILL
	recv_start
	strangers 24 ''
	gets_in
	assert_grep "others wait" "$(err_of recv)" "recv"
	stop stranger KILL
	detach_both
}

run_scenarios "$@"
