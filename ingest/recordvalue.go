package ingest

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/holon-registry/holon/registry"
)

func appendNumber(b []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(f))
}

// appendValue adds the type byte and the value to b.
func appendValue(b []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case float64:
		return appendNumber(append(b, typeNumber), v), nil
	case bool:
		if v {
			return append(b, typeTrue), nil
		}
		return append(b, typeFalse), nil
	case string:
		return appendText(append(b, typeText), v), nil
	case registry.Location:
		if v.Altitude == nil {
			return appendNumber(appendNumber(append(b, typePlace), v.Latitude), v.Longitude), nil
		}
		return appendNumber(appendNumber(appendNumber(append(b, typeHighPlace), v.Latitude), v.Longitude), *v.Altitude), nil
	case registry.Composite:
		b = binary.AppendUvarint(append(b, typeComposite), uint64(len(v)))
		for name, field := range v {
			var err error
			switch field.(type) {
			case float64, bool, string:
				b, err = appendValue(appendText(b, name), field)
			default:
				err = fmt.Errorf("field %s cannot be a %T", name, field)
			}
			if err != nil {
				return nil, err
			}
		}
		return b, nil
	case registry.Quantity:
		if _, nested := v.Value.(registry.Quantity); nested || !v.MeasuredAt.IsZero() {
			return nil, fmt.Errorf("a value in the queue has no time of its own")
		}
		b, err := appendValue(append(b, typeQuantity), v.Value)
		return appendText(b, v.Unit), err
	}
	return nil, fmt.Errorf("a value cannot be a %T", value)
}

// value reads a type byte and a value.
func (d *decoder) value() (any, error) {
	kind, err := d.byte()
	if err != nil {
		return nil, err
	}
	switch kind {
	case typeNumber:
		return d.number()
	case typeTrue, typeFalse:
		return kind == typeTrue, nil
	case typeText:
		return d.text()
	case typePlace, typeHighPlace:
		return d.place(kind == typeHighPlace)
	case typeComposite:
		return d.composite()
	case typeQuantity:
		return d.quantity()
	}
	return nil, fmt.Errorf("a record of the queue has a value of type %q", kind)
}

func (d *decoder) number() (float64, error) {
	if len(d.b) < 8 {
		return 0, errShort
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(d.b))
	d.b = d.b[8:]
	return f, nil
}

func (d *decoder) place(high bool) (l registry.Location, err error) {
	if l.Latitude, err = d.number(); err != nil {
		return l, err
	}
	if l.Longitude, err = d.number(); err != nil || !high {
		return l, err
	}
	altitude, err := d.number()
	l.Altitude = &altitude
	return l, err
}

func (d *decoder) composite() (registry.Composite, error) {
	n, err := d.length()
	if err != nil {
		return nil, err
	}
	out := make(registry.Composite, n)
	for range n {
		name, err := d.name()
		if err != nil {
			return nil, err
		}
		field, err := d.value()
		if err != nil {
			return nil, err
		}
		switch field.(type) {
		case float64, bool, string:
			out[name] = field
		default:
			return nil, fmt.Errorf("a record of the queue has a field that is a %T", field)
		}
	}
	return out, nil
}

func (d *decoder) quantity() (q registry.Quantity, err error) {
	if len(d.b) > 0 && d.b[0] == typeQuantity {
		return q, fmt.Errorf("a record of the queue has a value in a value")
	}
	if q.Value, err = d.value(); err != nil {
		return q, err
	}
	q.Unit, err = d.name()
	return q, err
}
