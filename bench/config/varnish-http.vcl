# Varnish as a plain reverse proxy over HTTP/1.1: everything is passed on, since
# what is compared is proxying. Connections to the origin are kept by itself.
vcl 4.1;

backend origin {
    .host = "{{.OriginHost}}";
    .port = "{{.OriginPort}}";
}

sub vcl_recv {
    # What Deich tells the origin, too. X-Forwarded-For Varnish sets itself.
    set req.http.X-Forwarded-Proto = "http";
    set req.http.X-Forwarded-Host = req.http.Host;
    set req.http.X-Real-IP = client.ip;
    return (pass);
}
