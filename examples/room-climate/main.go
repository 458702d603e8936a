// Command room-climate sends files of real room-climate readings to Holon over
// HTTP, MQTT or a WebSocket, and checks through GraphQL that all of it arrived. It uses
// Holon's public protocols only.
//
//	go run ./examples/room-climate -files 'DIR/*.csv' -send http -verify
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"time"

	"github.com/holon-registry/holon/examples/internal/api"
)

// options are what the command line says.
type options struct {
	files, send, expect string
	verify              bool
	inFlight            int
}

func main() {
	var o options
	flag.StringVar(&o.files, "files", "", "the files to load, as a pattern: 'DIR/*.csv'")
	flag.StringVar(&o.send, "send", "", "send the readings over `http`, mqtt or websocket; nothing is sent if empty")
	flag.BoolVar(&o.verify, "verify", false, "compare what Holon has with the files")
	flag.StringVar(&o.expect, "expect", "", "compare with what check.py computed, in this `file`, too")
	flag.IntVar(&o.inFlight, "in-flight", 256, "how many MQTT messages may wait for their acknowledgement")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "room-climate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options, out io.Writer) error {
	if o.files == "" || !slices.Contains([]string{"", "http", "mqtt", "websocket"}, o.send) {
		return errors.New("-files is needed, and -send is http, mqtt or websocket")
	}
	readings, err := readFiles(o.files)
	if err != nil {
		return err
	}
	expected := expect(readings)
	fmt.Fprintf(out, "%d readings of %d devices: %d to store, %d repeats, %d conflicts expected\n",
		expected.Readings, len(expected.Series), expected.Stored, expected.Repeats, expected.Conflicts)
	if o.expect != "" {
		if err := compareWith(o.expect, expected, out); err != nil {
			return err
		}
	}
	if o.send == "" && !o.verify {
		return nil
	}
	client, err := api.FromEnvironment()
	if err != nil {
		return err
	}
	before, err := deadLetters(ctx, client)
	if err != nil {
		return err
	}
	if o.send != "" {
		if err := load(ctx, client, o, readings, out); err != nil {
			return err
		}
	}
	if !o.verify {
		return nil
	}
	v := verifier{client: client, expected: expected, out: out, sent: o.send != "", deadLettersBefore: before}
	return v.run(ctx)
}

func compareWith(path string, expected *expectation, out io.Writer) error {
	other, err := readExpectation(path)
	if err != nil {
		return err
	}
	differences := expected.differences(other)
	for _, one := range differences {
		fmt.Fprintln(out, "  differs from", path+":", one)
	}
	if len(differences) > 0 {
		return fmt.Errorf("%d differences from %s", len(differences), path)
	}
	fmt.Fprintln(out, "The same as in", path)
	return nil
}

// load makes what the readings are about, then sends them.
func load(ctx context.Context, client *api.Client, o options, readings []reading, out io.Writer) error {
	made, err := makeModel(ctx, client, readings)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "Made %d templates, groups, devices, assets and links; %d were there already\n", made.made, made.there)
	begin := time.Now()
	switch o.send {
	case "http":
		err = sendHTTP(ctx, client, readings)
	case "mqtt":
		err = sendMQTT(ctx, client.Key, readings, o.inFlight)
	case "websocket":
		err = sendStream(ctx, client, readings)
	}
	if err != nil {
		return fmt.Errorf("sending over %s: %w", o.send, err)
	}
	took := time.Since(begin)
	fmt.Fprintf(out, "Sent over %s, everything acknowledged: %.1f s, %.0f readings a second\n", o.send, took.Seconds(), float64(len(readings))/took.Seconds())
	return nil
}

// moment writes milliseconds since 1970 as GraphQL has them.
func moment(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000Z")
}
