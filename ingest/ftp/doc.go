// Package ftp takes files of readings in over FTP and FTPS.
//
// An upload that is complete is acknowledged, and then taken into the queue line
// by line, as fast as that lets it. What is refused is reported in a file beside
// it and kept as a dead letter. How far each file has come is remembered on disk,
// so that a process that is killed goes on where it was.
//
// A directory looks like this, a folder for each account, or for each key that is
// bound to devices:
//
//	<account>/files/     what its clients see, see [Server]
//	<account>/state/     uploads that are under way, how far files have come, reports
//
// The FTP library is used here only. The package imports ingest, whose Receiver
// it hands files to, and registry.
package ftp
