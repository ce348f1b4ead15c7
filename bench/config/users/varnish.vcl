# Varnish in front of a platform that can do about {{.Searches}} searches a second, or
# {{.Mix}} of what users ask for: grace and request coalescing as its manual
# explains them, vsthrottle (varnish-modules) by source.
vcl 4.1;

import std;
import vsthrottle;

backend origin {
    .host = "{{.OriginHost}}";
    .port = "{{.OriginPort}}";
    # What is under way at the origin is bounded: 64 searches take it a fifth of a
    # second. Varnish 7.1 has no queue: what is over it is answered 503.
    .max_connections = 64;
    .connect_timeout = 1s;
    .first_byte_timeout = 30s;
    .between_bytes_timeout = 30s;
    # Grace needs to know whether the origin is well.
    .probe = { .url = "/healthz"; .interval = 1s; .timeout = 2s; .window = 4; .threshold = 2; .initial = 4; }
}

sub vcl_recv {
    # 10 requests a second over 10 s: ten times what a person here asks for.
    if (vsthrottle.is_denied("requests " + client.ip, 100, 10s)) {
        return (synth(429));
    }
    # Logins are dear: ten a minute.
    if (req.method == "POST" && (req.url == "/login" || req.url == "/api/tokens") &&
        vsthrottle.is_denied("logins " + client.ip, 10, 60s)) {
        return (synth(429));
    }
    # While the origin is well, what has gone stale is given for 10 s more while
    # it is renewed; while it is not, for as long as it is kept.
    if (std.healthy(req.backend_hint)) {
        set req.grace = 10s;
    }
    # The built-in rules follow: what has a cookie or a login is passed.
}

sub vcl_backend_response {
    # An error in the background must not push out what is good.
    if (beresp.status >= 500 && bereq.is_bgfetch) {
        return (abandon);
    }
    # Where the origin lets answers be kept but calls none fresh, everyone gets
    # what is at most a second old: the usual micro-caching of pages that are the
    # same for everyone. What says private or no-cache is left alone.
    if (!bereq.uncacheable && beresp.status == 200 && beresp.ttl <= 0s && !beresp.http.Set-Cookie &&
        beresp.http.Cache-Control !~ "(?i)private|no-store|no-cache") {
        set beresp.ttl = 1s;
    }
    set beresp.grace = 10m;
}
