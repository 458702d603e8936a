package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/holon-registry/holon/access"
	"github.com/holon-registry/holon/graph"
	"github.com/holon-registry/holon/registry"
)

type keyCmd struct {
	Create keyCreateCmd `cmd:"" help:"Make a key; its secret is printed once and stored only as a hash."`
	List   keyListCmd   `cmd:"" help:"List an account's keys."`
	Delete keyDeleteCmd `cmd:"" help:"Delete a key; services forget it within seconds."`
}

// accountSettings name the account that a command is about.
type accountSettings struct {
	graphSettings
	Account string `help:"The account's name." required:"" env:"HOLON_ACCOUNT"`
}

func (s accountSettings) open(ctx context.Context, log zerolog.Logger) (*graph.Store, registry.Scope, error) {
	store, err := s.graphSettings.open(ctx, log, prometheus.NewRegistry())
	if err != nil {
		return nil, registry.Scope{}, err
	}
	if err := store.CheckMigrated(ctx); err != nil {
		store.Close(ctx)
		return nil, registry.Scope{}, err
	}
	account, err := store.AccountByName(ctx, s.Account)
	if err != nil {
		store.Close(ctx)
		return nil, registry.Scope{}, err
	}
	return store, registry.Scope{Account: account.ID, AccountName: account.Name}, nil
}

type keyCreateCmd struct {
	accountSettings
	Name    string   `help:"What the key is for." default:"key"`
	Devices []string `name:"device" help:"Bind the key to this device: it can only send its readings. May be given many times." placeholder:"REFERENCE"`
	Quiet   bool     `short:"q" help:"Print nothing but the secret."`
}

// Run makes a key, and the account too if there is none of the name.
func (c *keyCreateCmd) Run(ctx context.Context, log zerolog.Logger) error {
	store, err := c.graphSettings.open(ctx, log, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx))
	if err := store.CheckMigrated(ctx); err != nil {
		return err
	}
	secret, made, err := createKey(ctx, store, c.Account, c.Name, c.Devices)
	if err != nil {
		return err
	}
	if c.Quiet {
		fmt.Println(secret)
		return nil
	}
	if made {
		fmt.Printf("account  %s (new)\n", c.Account)
	} else {
		fmt.Printf("account  %s\n", c.Account)
	}
	fmt.Printf("name     %s\n", c.Name)
	if len(c.Devices) > 0 {
		fmt.Printf("devices  %s\n", strings.Join(c.Devices, ", "))
	}
	fmt.Printf("secret   %s\n\nKeep the secret: it is not shown again.\n", secret)
	return nil
}

// createKey makes a key of an account, and the account first if need be.
func createKey(ctx context.Context, store *graph.Store, accountName, name string, devices []string) (secret string, newAccount bool, err error) {
	account, newAccount, err := store.EnsureAccount(ctx, accountName)
	if err != nil {
		return "", false, err
	}
	secret = access.NewSecret()
	scope := registry.Scope{Account: account.ID, AccountName: account.Name}
	if _, err := store.CreateKey(ctx, scope, name, access.Hash(secret), devices); err != nil {
		return "", false, err
	}
	return secret, newAccount, nil
}

type keyListCmd struct{ accountSettings }

// Run prints an account's keys, without their secrets, which nobody knows.
func (c *keyListCmd) Run(ctx context.Context, log zerolog.Logger) error {
	store, scope, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx))
	keys, err := store.Keys(ctx, scope)
	if err != nil {
		return err
	}
	return printKeys(os.Stdout, keys)
}

func printKeys(w io.Writer, keys []*registry.APIKey) error {
	table := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tNAME\tCREATED\tBOUND TO")
	for _, k := range keys {
		bound := "everything"
		if n := len(k.DeviceIDs); n > 0 {
			bound = fmt.Sprintf("%d device(s)", n)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", k.ID, k.Name, k.CreatedAt.Format(time.RFC3339), bound)
	}
	return table.Flush()
}

type keyDeleteCmd struct {
	accountSettings
	ID string `arg:"" help:"The key's id, as the list shows it."`
}

// Run deletes a key.
func (c *keyDeleteCmd) Run(ctx context.Context, log zerolog.Logger) error {
	store, scope, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close(context.WithoutCancel(ctx))
	return store.DeleteKey(ctx, scope, registry.ID(c.ID))
}
