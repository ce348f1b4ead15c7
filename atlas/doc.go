// Package atlas tells who runs the network of an address, and in which country
// that network is, from files that an operator of Deich gives: MaxMind's DB
// format, as DB-IP, IPinfo and MaxMind publish it. It ships none.
//
// A file is read once, whole, and what is needed of it is kept in tables of its
// own: nothing of it stays open or mapped, so that it can be replaced in place
// while Deich runs. A look-up takes no memory and no lock.
package atlas
