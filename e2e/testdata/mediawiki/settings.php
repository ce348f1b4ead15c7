
# What an operator adds to the settings that the installer wrote.
# The address that users see: links and redirects are made from it.
$wgServer = "{PUBLIC}";
# Deich stands in front: take the users' addresses from its X-Forwarded-For.
$wgCdnServersNoPurge = [ "127.0.0.1" ];
$wgUsePrivateIPs = true;
$wgEnableUploads = true;
$wgUploadDirectory = "{DATA}/images";
$wgUploadPath = "/images";
$wgCacheDirectory = "{DATA}/cache";
