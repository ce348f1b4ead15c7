// Command pocketbase is PocketBase as its authors' example builds it: its API
// and, from a folder, the files of a page. It is a module of its own, so that
// nothing of it is among what Deich is made of.
package main

import (
	"log"
	"os"

	"github.com/pocketbase/pocketbase"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
)

func main() {
	app := pocketbase.New()
	public := app.RootCmd.PersistentFlags().String("publicDir", "public", "the page's files")
	app.OnServe().BindFunc(func(e *core.ServeEvent) error {
		e.Router.GET("/{path...}", apis.Static(os.DirFS(*public), false))
		return e.Next()
	})
	if err := app.Start(); err != nil {
		log.Fatal(err)
	}
}
