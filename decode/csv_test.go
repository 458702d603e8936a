package decode

import (
	"testing"

	"github.com/holon-registry/holon/registry"
)

func TestCSV(t *testing.T) {
	logger := object{
		"delimiter": ";", "decimal": ",", "device": "Sensor", "time": object{"column": []any{"Datum", "Uhrzeit"}, "format": "%d.%m.%Y %H:%M", "zone": "Europe/Berlin"},
		"measures": object{"temperature": "Temp (°C)", "open": "Tür", "place": object{"fields": object{"latitude": "Lat", "longitude": "Lon"}}},
	}
	plain := object{"device": "device", "time": object{"column": "time", "format": "unix"}, "measures": object{"count": object{"column": "n", "scale": 2.0}, "firmware": "fw"}}
	const header = "Datum;Uhrzeit;Sensor;Temp (°C);Tür;Lat;Lon\n"
	check(t, map[string]one{
		"a data logger": {decoder: "csv", options: logger,
			payload: "\uFEFF" + header + "01.07.2026;10:00;s1;21,5;0;52,5;13,4\r\n\n01.07.2026;10:05;s1;;1;;\n",
			want: []registry.Reading{timed("s1", "2026-07-01T08:00:00Z", object{"temperature": 21.5, "open": false, "place": registry.Location{Latitude: 52.5, Longitude: 13.4}}),
				timed("s1", "2026-07-01T08:05:00Z", object{"open": true})}},
		"quotes": {decoder: "csv", options: plain, payload: "time,device,n,fw,other\n1772355600,\"a,1\",3,\"say \"\"1.0\"\"\",x\n",
			want: []registry.Reading{timed("a,1", "2026-03-01T09:00:00Z", object{"count": 6.0, "firmware": `say "1.0"`})}},
		"no header": {decoder: "csv", options: object{"columns": []any{"n", "fw"}, "measures": object{"count": "n", "firmware": "fw"}}, device: "a", payload: "1,2\n3\n",
			want: []registry.Reading{reading("a", object{"count": 1.0, "firmware": "2"}), reading("a", object{"count": 3.0})}},
		"lines before": {decoder: "csv", options: object{"skipLines": 2.0, "measures": object{"count": "n"}}, device: "a", payload: "Logger 7\n\nn\n1\n",
			want: []registry.Reading{reading("a", object{"count": 1.0})}},
		"no template": {decoder: "csv", open: true, options: object{"measures": object{"x": "x", "y": "y", "z": "z", "v": object{"column": "x", "as": "STRING"}}}, device: "a", payload: "x,y,z\n1.5,true,dry\n",
			want: []registry.Reading{reading("a", object{"x": 1.5, "y": true, "z": "dry", "v": "1.5"})}},

		"another charset": {decoder: "csv", options: object{"charset": "windows-1252", "delimiter": ";", "measures": object{"temperature": "Temp (°C)", "firmware": "Gerät"}}, device: "a",
			payload: "Temp (\xb0C);Ger\xe4t\n1;\x80 7\n2;\"K\xfc\"\"che\"\n", want: []registry.Reading{
				reading("a", object{"temperature": 1.0, "firmware": "€ 7"}), reading("a", object{"temperature": 2.0, "firmware": `Kü"che`})}},

		"not UTF-8":         {decoder: "csv", options: object{"measures": object{"temperature": "Temp (°C)"}}, device: "a", payload: "Temp (\xb0C)\n1\n", wrong: "line 1: is not UTF-8"},
		"no rows":           {decoder: "csv", options: plain, payload: "time,device,n,fw\n", wrong: "holds no reading"},
		"nothing":           {decoder: "csv", options: plain, payload: "", wrong: "is empty"},
		"missing column":    {decoder: "csv", options: plain, payload: "time,device,n\n", wrong: `line 1: there is no column "fw"`},
		"column twice":      {decoder: "csv", options: plain, payload: "time,device,n,n\n", wrong: `line 1: there are two columns "n"`},
		"a quote":           {decoder: "csv", options: plain, payload: "time,device,n,fw\n1,a,\"2,x\n", wrong: "line 2: is not CSV"},
		"no time":           {decoder: "csv", options: plain, payload: "time,device,n,fw\n,a,2,x\n", wrong: "line 2, column time: is empty"},
		"no such time":      {decoder: "csv", options: logger, payload: header + "1.7.2026;10:00;s1;1;0;;\n", wrong: `line 2, column Datum: "1.7.2026 10:00" is not a time`},
		"no device":         {decoder: "csv", options: plain, payload: "time,device,n,fw\n1,,2,x\n", wrong: "line 2, column device: names no device"},
		"not a number":      {decoder: "csv", options: plain, payload: "time,device,n,fw\n1,a,2,x\n2,a,0x1,x\n", wrong: `line 3, column n: "0x1" is not a number`},
		"a decimal point":   {decoder: "csv", options: logger, payload: header + "01.07.2026;10:00;s1;1.5;0;;\n", wrong: `line 2, column Temp (°C): "1.5" is not a number`},
		"half a location":   {decoder: "csv", options: logger, payload: header + "01.07.2026;10:00;s1;1;0;52,5;\n", wrong: "line 2, column Lat: a location has latitude and longitude"},
		"no values":         {decoder: "csv", options: plain, payload: "time,device,n,fw\n1,a,,\n", wrong: "line 2: none of the mapped values is there: n, fw"},
		"nothing to skip":   {decoder: "csv", options: object{"skipLines": 2.0, "measures": object{"count": "n"}}, device: "a", payload: "x", wrong: "has no more than the 2 lines"},
		"no device at all":  {decoder: "csv", options: object{"measures": object{"count": "n"}}, payload: "n\n1\n", wrong: "line 2: the payload names no device"},
		"a device mistaken": {decoder: "csv", options: plain, device: "b", payload: "time,device,n,fw\n1,a,2,x\n", wrong: `line 2, column device: names device "a", but was sent for "b"`},
	})
}

func FuzzCSV(f *testing.F) {
	f.Add(";", "time;n;fw\n1;2,5;x\n")
	f.Add(",", "\uFEFFtime,n,fw\n\"1\",true,\"a\"\"b\"\n")
	f.Fuzz(func(t *testing.T, delimiter, payload string) {
		d, violations := New(registry.TemplateDecoder{Name: "csv", Options: object{
			"delimiter": delimiter, "device": "fw", "time": object{"column": "time", "format": "unix"},
			"measures": object{"temperature": "n", "open": "n", "firmware": "fw"},
		}}, station)
		if len(violations) > 0 {
			return
		}
		holds(t, d, payload)
	})
}
