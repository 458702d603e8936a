package decode

import (
	"encoding/json"

	"github.com/holon-registry/holon/registry"
)

// maxWeight bounds what the readings of one payload weigh together. A place of
// the document is found in every frame, for every measure: without a bound a
// small payload would become readings without end.
const maxWeight = 8 << 20

// budget is how much the rest of a payload may weigh.
type budget int

// spend takes a weight off, and refuses the payload when nothing is left.
func (b *budget) spend(weight int) *Error {
	if *b -= budget(weight); *b < 0 {
		return wrong("", "the readings of a payload weigh at most %d MiB", maxWeight>>20)
	}
	return nil
}

// weight is about how many bytes a value takes.
func weight(value any) int {
	const plain = 8
	switch v := value.(type) {
	case string:
		return plain + len(v)
	case json.Number:
		return plain + len(v)
	case map[string]any:
		return weightOf(v)
	case registry.Composite:
		return weightOf(v)
	case registry.Quantity:
		return plain + weight(v.Value)
	case registry.Location:
		return 3 * plain
	case []any:
		sum := plain
		for _, item := range v {
			sum += weight(item)
		}
		return sum
	}
	return plain
}

func weightOf(object map[string]any) int {
	sum := 0
	for name, value := range object {
		sum += len(name) + weight(value)
	}
	return sum
}
