// Package gate has the kernel drop what the engine has judged, before it costs
// a connection. It looks at nothing but packets for Deich's own ports (and,
// where asked for, at UDP that was never asked for), never at who is on the
// allow list, and every verdict ends by itself.
//
// One small interface stands before several ways: an XDP program in the
// driver (xdp-native) or behind it (xdp-generic), a table of nftables (nft), or
// none. Open finds out what can be had here and says why. What a Deich that dies
// leaves behind is nothing (XDP), or a table that matches nothing three seconds
// later (nft). Only where it is asked for, XDP is pinned in a bpf filesystem: then
// it stands for ten seconds more, for the next Deich to take over, and lets
// everything pass afterwards.
//
// The program's source is in bpf/, under MIT or GPL-2.0; its compiled form is
// embedded, so building Deich needs no C compiler. gen.sh makes it anew.
package gate
