package testschema

import (
	"fmt"
	"io"
	"strconv"

	"github.com/99designs/gqlgen/graphql"
)

// Even is a number that two divides.
type Even int

// MarshalGQL writes the number.
func (e Even) MarshalGQL(w io.Writer) { _, _ = io.WriteString(w, strconv.Itoa(int(e))) }

// UnmarshalGQL refuses what is no even number.
func (e *Even) UnmarshalGQL(v any) error {
	n, err := graphql.UnmarshalInt(v)
	if err != nil {
		return err
	}
	if n%2 != 0 {
		return fmt.Errorf("%d is not even", n)
	}
	*e = Even(n)
	return nil
}
