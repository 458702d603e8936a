// Command holon is a digital-twin registry: it serves GraphQL, takes readings
// in, writes them to the graph, and helps with running all that.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // time zones, wherever Holon runs

	"github.com/alecthomas/kong"
	"github.com/rs/zerolog"
	"golang.org/x/term"

	"github.com/holon-registry/holon/registry"
)

// version is set when a release is built.
var version = "0.1.0-dev"

// cli is every command; a setting is a flag, a variable or a line of the
// configuration file, in that order.
type cli struct {
	Config   kong.ConfigFlag  `help:"Read settings from this JSON file." placeholder:"FILE" env:"HOLON_CONFIG"`
	LogLevel string           `help:"Log from this level on: debug, info, warn or error." default:"info" env:"HOLON_LOG_LEVEL" enum:"debug,info,warn,error"`
	LogJSON  bool             `name:"log-json" help:"Log JSON lines rather than text." env:"HOLON_LOG_JSON"`
	Version  kong.VersionFlag `help:"Print the version."`

	Serve   serveCmd   `cmd:"" help:"Serve GraphQL, GraphiQL, readings over HTTP and WebSockets, health and metrics."`
	Ingest  ingestCmd  `cmd:"" help:"Take readings from the queue and write them to the graph. Run as many as you like."`
	Gateway gatewayCmd `cmd:"" help:"Take readings in over MQTT, as a listener and from an outside broker, and files of them over FTP."`
	Dev     devCmd     `cmd:"" help:"Run all of Holon in one process, on a Neo4j and a Redis that it starts and stops itself."`
	Migrate migrateCmd `cmd:"" help:"Bring the database's constraints and indexes up to date."`
	Key     keyCmd     `cmd:"" help:"Make, list and delete API keys."`
	Export  exportCmd  `cmd:"" help:"Write a whole account to a file, as JSON lines: a backup, or to move it."`
	Import  importing  `cmd:"" help:"Make an account's objects of a file, or of files of another system; or hand over the readings of a file."`
	Conform conformCmd `cmd:"" help:"Test a program that sends readings: stand between it and Holon, misbehave, and say whether everything arrived, once and right."`
	Bench   benchCmd   `cmd:"" help:"Measure how fast this machine writes and reads, beside the raw stores."`
	Doctor  doctorCmd  `cmd:"" help:"Say what is missing or wrong, and what to do about it."`
	Health  healthCmd  `cmd:"" help:"Ask a running service whether it is ready; for health checks of containers."`
}

// importing has the commands that import: what they are by themselves, and
// readings.
type importing struct {
	Objects  importCmd         `cmd:"" default:"withargs" help:"Make an account's objects of a file, or of files of another system. What holon import FILE does."`
	Readings importReadingsCmd `cmd:"" help:"Decode a file, such as CSV, and hand its readings to the queue."`
}

func main() {
	if os.Getenv("GOGC") == "" {
		// Answers and batches are many small objects that do not live long: to look
		// for them less often saves a tenth of the time for some ten megabytes.
		debug.SetGCPercent(300)
	}
	var c cli
	parser, err := kong.New(&c,
		kong.Name("holon"),
		kong.Description("A digital-twin registry on Neo4j and Redis."),
		kong.Configuration(kong.JSON),
		kong.Vars{"version": version},
		kong.UsageOnError(),
	)
	if err != nil {
		panic(err)
	}
	command, err := parser.Parse(os.Args[1:])
	parser.FatalIfErrorf(err)

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	command.BindTo(ctx, (*context.Context)(nil))
	command.Bind(c.logger())
	if err := command.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "holon: "+explain(err))
		if e, ok := errors.AsType[refusedError](err); ok {
			os.Exit(e.ExitCode())
		}
		os.Exit(1)
	}
}

func (c *cli) logger() zerolog.Logger {
	level, err := zerolog.ParseLevel(c.LogLevel)
	if err != nil {
		level = zerolog.InfoLevel
	}
	zerolog.TimeFieldFormat = "2006-01-02T15:04:05.000Z07:00"
	if c.LogJSON {
		return zerolog.New(os.Stderr).Level(level).With().Timestamp().Logger()
	}
	return zerolog.New(zerolog.ConsoleWriter{Out: os.Stderr, TimeFormat: "15:04:05.000", NoColor: !term.IsTerminal(int(os.Stderr.Fd()))}).Level(level).With().Timestamp().Logger()
}

// explain shows an operator the cause as well: the terminal is no caller.
func explain(err error) string {
	text := err.Error()
	if e, ok := errors.AsType[*registry.Error](err); ok && e.Cause != nil {
		text += " (" + e.Cause.Error() + ")"
	}
	return text
}
