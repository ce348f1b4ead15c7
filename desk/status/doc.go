// Package status is the page that tells everyone how the platform does. It is
// fed by a file, so that it shares nothing with the site but a disk: it is
// served by a process of its own, and published as files to a place elsewhere.
//
//	d := status.From(book, components, now, zone)       // the desk writes it to File
//	err := status.NewServer(dir, url, zone).Serve(ctx, l) // reads it
//	names, err := status.Publish(dir, to, url, now, zone) // writes pages and feeds
//
// What is in the file is public: no address, no person, no origin's address,
// and no cause that nobody has approved.
package status
