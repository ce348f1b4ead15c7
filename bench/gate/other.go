//go:build !linux

package main

func main() { panic("the kernel gate is Linux's alone") }
