// Package mail hands e-mail to a server (RFC 5321): to the status page's
// subscribers, and to those who are told what needs a person. It keeps nothing and
// repeats nothing; who sends decides when to try again.
package mail
