// Package incident tells what happened: a fold from what is seen each second,
// and from what people say, to incidents. It has no clock, no file and no
// goroutine: the time comes with what is handed in, so that a whole outage can
// be told as a test.
//
//	facts := watch.See(sample) // once a second: what is new
//	book.Apply(fact)           // each fact, once it is kept
//	book.Incidents()           // what is so now
//
// [Watch] looks and says facts; [Book] only believes facts. So what is stored is
// what was said, and a later version of Watch does not change the past.
package incident
