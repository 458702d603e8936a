package bench

import (
	"strconv"
	"time"

	"github.com/holon-registry/holon/registry"
)

// source makes the readings of some devices in turn, a burst of each at a time.
type source struct {
	fleet   *fleet
	devices []*device
	burst   int
	next    int
}

// sources shares the devices that send readings among n sources.
func (r *runner) sources(n, burst int) []*source {
	out := make([]*source, n)
	sending := r.fleet.devices[:r.ReadingDevices]
	for i := range out {
		out[i] = &source{fleet: r.fleet, devices: sending[i*len(sending)/n : (i+1)*len(sending)/n], burst: burst}
	}
	return out
}

// reading is a reading of a device, with a value of each of the first measures.
type reading struct {
	device *device
	at     time.Time
	values []float64
}

// take makes the next n readings.
func (s *source) take(n int) []reading {
	out := make([]reading, 0, n)
	for len(out) < n {
		d := s.devices[s.next%len(s.devices)]
		s.next++
		for range min(s.burst, n-len(out)) {
			one := reading{device: d, at: s.fleet.at(d.sent), values: make([]float64, s.fleet.values)}
			for i := range one.values {
				one.values[i] = float64(s.fleet.random.IntN(10_000)) / 100
			}
			d.sent++
			out = append(out, one)
		}
	}
	return out
}

// accepted is the form that the queue takes.
func (r *runner) accepted(one reading) registry.AcceptedReading {
	values := make(map[string]any, len(one.values))
	for i, value := range one.values {
		values[measures[i].Name] = value
	}
	return registry.AcceptedReading{
		Account: r.Scope.Account, DeviceID: one.device.id, Reference: one.device.reference, Source: "http",
		MeasuredAt: one.at, ReceivedAt: time.Now().UTC().Truncate(time.Millisecond), Values: values,
	}
}

// payload is the form that HTTP takes.
func payload(readings []reading) []byte {
	out := []byte{'['}
	for i, one := range readings {
		if i > 0 {
			out = append(out, ',')
		}
		out = appendReading(out, one, true)
	}
	return append(out, ']')
}

// appendReading writes a reading as JSON; over MQTT the topic names the device.
func appendReading(out []byte, one reading, named bool) []byte {
	out = append(out, '{')
	if named {
		out = append(append(append(out, `"device":"`...), one.device.reference...), `",`...)
	}
	out = append(out, `"measuredAt":"`...)
	out = append(one.at.AppendFormat(out, "2006-01-02T15:04:05.000Z"), `","values":{`...)
	for i, value := range one.values {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(append(append(out, '"'), measures[i].Name...), '"', ':')
		out = strconv.AppendFloat(out, value, 'f', -1, 64)
	}
	return append(out, '}', '}')
}
