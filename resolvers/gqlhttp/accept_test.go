package gqlhttp

import "testing"

func TestNegotiate(t *testing.T) {
	t.Parallel()
	const both = "application/graphql-response+json"
	for accept, want := range map[string]string{
		"":                                     typeJSON,
		"*/*":                                  typeJSON,
		"application/*":                        typeJSON,
		"application/json":                     typeJSON,
		"APPLICATION/JSON; q=0.1":              typeJSON,
		both:                                   typeResponse,
		both + "; charset=utf-8":               typeResponse,
		both + ", application/json":            typeResponse,
		"application/json, " + both:            typeJSON,
		"application/json;q=0.5," + both:       typeResponse,
		both + ";q=0.5,application/json;q=0.9": typeJSON,
		both + ";q=0.9, */*;q=0.1":             typeResponse,
		"*/*, " + both:                         typeResponse,
		"application/json;q=0, */*":            typeResponse,
		both + ";q=0, application/*":           typeJSON,
		"text/html, */*;q=0.8":                 typeJSON,
		"text/html":                            "",
		"application/json;q=0":                 "",
		"*/*;q=0":                              "",
		"application/json; charset=latin1":     "",
		"application/json;q=2":                 "",
		"application/json;q=nan":               "",
		";;;, application/json":                typeJSON,
		"application/json, multipart/mixed":    typeJSON,
		both + ", application/json;q=0.9, text/html;q=1": typeResponse,
	} {
		if got := negotiate([]string{accept}); got != want {
			t.Errorf("Accept %q: %q, want %q", accept, got, want)
		}
	}
	if got := negotiate([]string{"text/html", "application/json"}); got != typeJSON {
		t.Errorf("two headers: %q", got)
	}
}
