package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/deichproject/deich/edge"
)

type certificateCommand struct {
	Root certificateRootCommand `cmd:"" help:"Print the root certificate that clients have to trust, as PEM."`
}

type certificateRootCommand struct {
	Data string `help:"Folder of the Deich it belongs to (${default})." type:"path" default:"${data}" placeholder:"DIR"`
}

func (certificateRootCommand) Help() string {
	return "Examples:\n  deich certificate root > deich-root.pem\n  curl --cacert deich-root.pem https://box.lan/\n\n" +
		"There is one once Deich has run with --internal, or with internal: true at a site. Its key stays in the data folder."
}

func (c *certificateRootCommand) Run(t *terminal) error {
	name := edge.RootFile(filepath.Join(c.Data, certificatesFolder))
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return hint(fmt.Errorf("certificate root: %s has no authority of its own", c.Data),
			"it is founded when a site first needs it: deich protect --to URL --domain NAME --internal")
	}
	if err != nil {
		return fmt.Errorf("certificate root: %w", err)
	}
	_, err = t.out.Write(text)
	return err
}
