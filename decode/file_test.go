package decode

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/holon-registry/holon/registry"
)

const within = "is not CSV: a cell that begins with a quote ends with one, and quotes within it are doubled"

func manyRows(line, n int, text string) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprint(line+i) + text
	}
	return out
}

func TestPieces(t *testing.T) {
	for name, c := range map[string]struct {
		decoder string
		options object
		file    string
		want    []string
	}{
		"rows": {"csv", object{"device": "d", "measures": object{"count": "n"}, "skipEmpty": true}, "d,n\na,1\na,x\n\na,\n\"b\nc\",2\nd,\"3\n",
			[]string{"2 a 1", "3 line 3, column n: \"x\" is not a number", "5", "6 b\nc 2", "8 line 8: is not CSV: a quote opens here that is not closed"}},
		"a quote that is not closed": {"csv", object{"device": "d", "measures": object{"count": "n"}}, "d,n\na,1\n\"b\nc\",\"2\nd,3\ne,\"4\"\n\"f,5\n" + strings.Repeat("g,6\n", 150),
			append([]string{"2 a 1", "4 line 4: " + within, "5 d 3", "6 e 4", "7 line 7: is not CSV: a quote opens here that is not closed"}, manyRows(8, 150, " g 6")...)},
		"quotes where none belong": {"csv", object{"device": "d", "measures": object{"count": "n"}}, "d,n\na\"b,1\n\"c\" ,2\nd,3\n",
			[]string{"2 line 2: is not CSV: a quote within a cell that does not begin with one", "3 line 3: " + within, "4 d 3"}},
		"rows after lines": {"csv", object{"device": "d", "measures": object{"count": "n"}, "skipLines": 2}, "\uFEFFlog\nof today\nd,n\na,1\nb,2\n",
			[]string{"4 a 1", "5 b 2"}},
		"lines": {"json", object{"device": "d", "measures": object{"count": "n"}}, "{\"d\": \"a\", \"n\": 1}\n\n{\n[{\"d\": \"a\", \"n\": 2}, {\"d\": \"b\", \"n\": 3}]",
			[]string{"1 a 1", "3 byte 1: is not JSON: it ends too soon", "4 a 2 b 3"}},
		"hex": {"cayenne", object{"encoding": "hex", "measures": object{"count": lpp(1, "digital_input")}}, "010005\n", []string{"1 x 5"}},
	} {
		d, violations := New(registry.TemplateDecoder{Name: c.decoder, Options: c.options}, station)
		if len(violations) > 0 {
			t.Fatalf("%s: %+v", name, violations)
		}
		device := ""
		if name == "hex" {
			device = "x"
		}
		var got []string
		offset := int64(0)
		err := Pieces(t.Context(), d, Payload{ReceivedAt: at, Device: device}, strings.NewReader(c.file), func(p Piece) error {
			text := fmt.Sprint(p.Line)
			for _, r := range p.Readings {
				text += fmt.Sprintf(" %s %v", r.Device, r.Values["count"])
			}
			if p.Err != nil {
				text += " " + p.Err.Error()
			}
			if p.Offset <= offset || p.Offset > int64(len(c.file)) {
				t.Errorf("%s: offset %d after %d", name, p.Offset, offset)
			}
			offset = p.Offset
			alone, err := d.Decode(t.Context(), Payload{ReceivedAt: at, Device: device, Content: p.Content})
			if p.Err == nil && (err != nil || !cmp.Equal(alone, p.Readings)) && len(p.Readings) > 0 || p.Err != nil && err == nil {
				t.Errorf("%s: line %d alone, %q, is %+v, %v; want %+v, %v", name, p.Line, p.Content, alone, err, p.Readings, p.Err)
			}
			got = append(got, text)
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
	d, _ := New(registry.TemplateDecoder{Name: "csv", Options: object{"measures": object{"count": "n"}}}, station)
	if err := Pieces(t.Context(), d, Payload{Device: "a"}, strings.NewReader("m\n1\n"), nil); err == nil || err.Error() != `line 1: there is no column "n"` {
		t.Errorf("a file without the column: %v", err)
	}
	stop := errors.New("enough")
	if err := Pieces(t.Context(), d, Payload{Device: "a"}, strings.NewReader("n\n1\n"), func(Piece) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
}
