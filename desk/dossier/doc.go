// Package dossier writes down an incident for those who were not there: as one
// HTML file that needs nothing else and prints well, as Markdown, and as JSON.
//
//	d := &dossier.Dossier{Incident: i, Rows: rows, Made: now, Zone: zone}
//	err := d.HTML(w, "de")
//
// Every sentence is made of what was measured or of what a person said, and says
// which. Persons and platforms are given pseudonyms, and addresses left out,
// unless names are asked for. The text of a claim stays as it was said.
package dossier
