// Command inorder lets the code that gqlgen generates make lists and answers in
// order, without a goroutine for each item. With worker_limit 1 these wait for
// one another anyway, and growing a stack for each takes a third of the time of
// a large answer. Fields that only take a text, a number, an id or a time out of
// a struct are written down at once: that such a field has a context, and a
// resolver that could be intercepted, took most of the time of a list. It edits
// the files of the folder that it is given.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// edits replaces calls into gqlgen by those of order.go in the same folder.
var edits = strings.NewReplacer(
	"graphql.MarshalSliceConcurrently(ctx, len(v), 1, false, ", "marshalInOrder(ctx, len(v), ",
	"graphql.GetPath(ctx),", "pathOfDeferred(ctx, deferLabelToView),",
)

// plain is a field of a struct that can neither fail nor be null where it must
// not: 1 is the expression, 2 the function that writes the value down.
var plain = regexp.MustCompile(`return graphql\.ResolveField\(\s+ctx,\s+ec\.OperationContext,\s+field,\s+` +
	`func\(ctx context\.Context, field graphql\.CollectedField\) \(\*graphql\.FieldContext, error\) \{\s+return [^\n]+\s+\},\s+` +
	`func\(ctx context\.Context\) \(any, error\) \{\s+return (obj(?:\.\w+)+), nil\s+\},\s+nil,\s+` +
	`func\(ctx context\.Context, selections ast\.SelectionSet, v [^)]+\) graphql\.Marshaler \{\s+` +
	`return ec\.(marshal(?:NString2string|NInt2int|NBoolean2bool|NDateTime2time\p{L}+|NID2github\p{L}+|OString2\p{L}*string|OBoolean2\p{L}*bool|ODateTime2\p{L}+))\(ctx, selections, v\)\s+\},\s+` +
	`(?:true|false),\s+(?:true|false),\s+\)`)

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "inorder:", err)
		os.Exit(1)
	}
}

func run(folder string) error {
	files, err := filepath.Glob(filepath.Join(folder, "*.generated.go"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		edited := plain.ReplaceAllString(edits.Replace(string(text)), "return ec.$2(ctx, field.Selections, $1)")
		if !strings.Contains(edited, "time.") { // types that are not named any more
			edited = strings.Replace(edited, "\t\"time\"\n", "", 1)
		}
		if strings.Contains(edited, "MarshalSliceConcurrently") {
			return fmt.Errorf("%s makes lists in a way that is not known here", file)
		}
		if err := os.WriteFile(file, []byte(edited), 0o644); err != nil {
			return err
		}
	}
	return nil
}
