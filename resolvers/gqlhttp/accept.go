package gqlhttp

import (
	"mime"
	"strconv"
	"strings"
)

// The two media types of GraphQL over HTTP.
const (
	typeJSON     = "application/json"
	typeResponse = "application/graphql-response+json"
)

// offer is how much a client likes one of our media types.
type offer struct {
	quality   float64
	precision int // of the range that decided: 3 the type itself, 2 application/*, 1 */*
	place     int // of that range in the header
}

// negotiate chooses the media type of an answer from the values of the Accept
// header, as RFC 9110 section 12.5.1 says: the most precise range decides the
// quality of a type, 0 excludes it. It prefers the type of higher quality, then
// the one that is named more precisely, then the one named first. Without the
// header, or with */*, it is application/json, which every client reads; "" if
// nothing fits.
func negotiate(accept []string) string {
	header := strings.TrimSpace(strings.Join(accept, ","))
	if header == "" {
		return typeJSON
	}
	asJSON, asResponse := rate(header, typeJSON), rate(header, typeResponse)
	switch {
	case asJSON.quality == 0 && asResponse.quality == 0:
		return ""
	case asResponse.better(asJSON):
		return typeResponse
	default:
		return typeJSON
	}
}

func (o offer) better(than offer) bool {
	switch {
	case o.quality != than.quality:
		return o.quality > than.quality
	case o.precision != than.precision:
		return o.precision > than.precision
	default:
		return o.place < than.place
	}
}

// rate finds the range of an Accept header that decides about one media type.
func rate(header, mediaType string) (best offer) {
	for place, part := range strings.Split(header, ",") {
		name, params, err := mime.ParseMediaType(strings.TrimSpace(part))
		if err != nil {
			continue // an unreadable range admits nothing
		}
		precision := 0
		switch {
		case name == mediaType && isUTF8(params["charset"]):
			precision = 3
		case name == "application/*":
			precision = 2
		case name == "*/*":
			precision = 1
		}
		if precision > best.precision {
			best = offer{quality: quality(params), precision: precision, place: place}
		}
	}
	return best
}

// quality reads the q parameter: 1 if absent, 0 if it is no number from 0 to 1.
func quality(params map[string]string) float64 {
	text, ok := params["q"]
	if !ok {
		return 1
	}
	q, err := strconv.ParseFloat(text, 64)
	if err != nil || !(q >= 0 && q <= 1) {
		return 0
	}
	return q
}

// isUTF8 tells whether a charset parameter, absent or not, means UTF-8.
func isUTF8(charset string) bool {
	return charset == "" || strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "utf8")
}
