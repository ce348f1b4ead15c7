// Command derive makes the profile of visits from the two logs that the
// profile's README names:
//
//	go run ./drill/profile/derive -nasa nasa.tsv.gz -elastic apache.log.gz >drill/profile/visits.tsv
package main

import (
	"compress/gzip"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/deichproject/deich/drill/profile"
)

func main() {
	nasa := flag.String("nasa", "", "NASA-HTTP as tab-separated values, may be compressed (.gz)")
	elastic := flag.String("elastic", "", "Elastic's web log in the combined format, may be compressed (.gz)")
	flag.Parse()
	if err := run(*nasa, *elastic); err != nil {
		fmt.Fprintln(os.Stderr, "derive:", err)
		os.Exit(1)
	}
}

func run(nasa, elastic string) error {
	n, err := open(nasa)
	if err != nil {
		return err
	}
	defer n.Close()
	e, err := open(elastic)
	if err != nil {
		return err
	}
	defer e.Close()
	text, err := profile.Derive(n, e)
	if err != nil {
		return err
	}
	_, err = os.Stdout.Write(text)
	return err
}

func open(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return f, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return z, nil
}
