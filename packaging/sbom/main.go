// Command sbom says what a built binary is made of. It reads the list of
// modules that the Go linker wrote into the binary, not the source tree's, so
// what only tests use does not appear.
//
//	sbom -version 1.2.0 -time 1700000000 deich          CycloneDX 1.6, JSON
//	sbom -notices deich                                 the licence texts that go with the binary
package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	version := flag.String("version", "", "the product's version")
	unix := flag.Int64("time", 0, "the time of making, in seconds since 1970")
	notices := flag.Bool("notices", false, "write licence texts instead")
	flag.Parse()
	if flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "sbom: name one binary")
		os.Exit(2)
	}
	if err := run(os.Stdout, flag.Arg(0), *version, time.Unix(*unix, 0).UTC(), *notices); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

func run(w io.Writer, binary, version string, made time.Time, notices bool) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	all, err := modulesOf(info)
	if err != nil {
		return err
	}
	if notices {
		return writeNotices(w, all)
	}
	sum, err := fileSum(binary)
	if err != nil {
		return err
	}
	return writeBill(w, info, all, version, made, sum)
}
