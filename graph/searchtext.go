package graph

import (
	"maps"
	"slices"
	"strings"

	"github.com/holon-registry/holon/registry"
)

// Full text. The index is brought up to date in the background, so a search for
// words may not see what was written in the last second or so: an index that
// writers wait for makes creating a device nine times as slow.

// textIndex is the full-text index over what describes a thing.
const textIndex = "thing_words"

// wordsProperty holds the texts among a thing's attributes, for the full-text
// index.
const wordsProperty = "searchText"

// wordFields are the fields that words are searched for in.
var wordFields = []string{"reference", "name", "description", wordsProperty}

const (
	maxWords     = 16
	maxWordsText = 1000 // characters of a search for words
	// maxSearchText bounds what is kept of a thing's attributes for the index.
	maxSearchText = 16_000 // bytes
)

// searchText gathers the texts among attributes; nil if there are none.
func searchText(properties map[string]any) any {
	encoded, _ := properties[encodedProperty].([]any)
	var texts []string
	size := 0
	add := func(text string) {
		if size += len(text) + 1; size <= maxSearchText {
			texts = append(texts, text)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if name == encodedProperty || slices.Contains(encoded, any(name)) {
			continue
		}
		switch value := properties[name].(type) {
		case string:
			add(value)
		case []any:
			for _, item := range value {
				if text, ok := item.(string); ok {
					add(text)
				}
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return strings.Join(texts, "\n")
}

// luceneQuery makes words a query of the full-text index: each has to occur, as
// a word or as the beginning of one, among what belongs to the account, or what it
// is made of has to. Nothing that means something to Lucene gets through.
func luceneQuery(account registry.ID, text string) (string, error) {
	words := wordsOf(text)
	switch {
	case len(text) > maxWordsText || len(words) > maxWords:
		return "", registry.InvalidField("text", "length", "at most %d words are searched for", maxWords)
	case len(words) == 0:
		return "", registry.InvalidField("text", "format", "there is no word in it: letters and digits are searched for")
	}
	parts := make([]string, len(words), len(words)+1)
	for i, word := range words {
		parts[i] = "+(" + anyField(word)
		if pieces := piecesOf(word); len(pieces) > 1 || pieces[0] != word {
			for j, piece := range pieces {
				pieces[j] = "+(" + anyField(piece) + ")"
			}
			parts[i] += " (" + strings.Join(pieces, " ") + ")"
		}
		parts[i] += ")"
	}
	parts = append(parts, `+account:"`+string(account)+`"`)
	return strings.Join(parts, " "), nil
}

// anyField looks for a word or its beginning. The fields are named: the account's
// id has words, too.
func anyField(word string) string {
	word = strings.ReplaceAll(word, ":", `\:`)
	fields := make([]string, len(wordFields))
	for i, field := range wordFields {
		fields[i] = field + ":(" + word + "^4 " + word + "*)"
	}
	return strings.Join(fields, " ")
}
