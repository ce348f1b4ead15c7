package main

// Authorities for machines that have none, such as the container image: they
// are asked only where the system's own cannot be found.
import _ "golang.org/x/crypto/x509roots/fallback"
