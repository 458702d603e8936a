package ingest

import (
	"context"
	"slices"

	"github.com/holon-registry/holon/registry"
)

// letter is a line as a dead letter. What a key that is bound to devices sends of
// others is not kept: it would be tried again by somebody who may send for all.
func (t *fileTaking) letter(ctx context.Context, line *fileLine, faults []Fault) ([]registry.AcceptedReading, error) {
	principal := t.file.Principal
	for i := range faults {
		if principal.Bound() && unknownDevice(faults[i]) {
			return nil, nil
		}
	}
	faults = slices.Clone(faults)
	for i := range faults {
		faults[i].Index = 0 // of the line, not of the batch
	}
	if t.file.Decoder == nil {
		return []registry.AcceptedReading{deadLetter(principal.Scope, t.file.Source, deviceMessage{line.device, cut(line.content)}, faults)}, nil
	}
	return t.payloadLetter(ctx, line.content, faults)
}

// payloadLetter is a part of a file that is to be decoded as a dead letter. One
// that is too long to be kept whole is kept as far as that goes, as bytes that
// cannot be tried again.
func (t *fileTaking) payloadLetter(ctx context.Context, content []byte, faults []Fault) ([]registry.AcceptedReading, error) {
	scope := t.file.Principal.Scope
	var device *knownDevice
	if t.file.Device != "" {
		found, err := t.receiver.directory.find(ctx, scope, []registry.Reading{{Device: t.file.Device}}, []bool{false})
		if err != nil {
			return nil, err
		}
		device = found[0]
	}
	// Its device may be gone since the file was sent, and another have its reference.
	if t.file.Principal.Bound() && (device == nil || !t.file.Principal.MaySend(device.ID)) {
		return nil, nil
	}
	if len(content) > maxPayload {
		return []registry.AcceptedReading{deadLetter(scope, t.file.Source, deviceMessage{t.file.Device, cut(content)}, faults)}, nil
	}
	m := rawMessage{reference: t.file.Device, template: t.file.Template, content: content, receivedAt: t.file.ReceivedAt}
	letter := deadLetter(scope, t.file.Source, deviceMessage{m.reference, nil}, faults)
	letter.Payload = m.payload(t.file.Source)
	if device != nil {
		letter.DeviceID, letter.Reference = device.ID, device.Reference
	}
	return []registry.AcceptedReading{letter}, nil
}

// cut takes what is kept of bytes that are too many, and one more, which says so.
func cut(content []byte) []byte { return content[:min(len(content), maxPayload+1)] }

// RefuseFile keeps a file that cannot be read as a dead letter. The content is its
// beginning: all of it if that has at most 256 KiB.
func (r *Receiver) RefuseFile(ctx context.Context, f File, content []byte, message string) error {
	if f.Principal.Bound() && f.Device == "" {
		return nil
	}
	t := &fileTaking{receiver: r, file: f}
	faults := undecodable(message).Faults
	if f.Template == "" && f.Device == "" {
		faults[0].Reason = registry.ReasonMalformed
		return r.queue.Add(ctx, []registry.AcceptedReading{deadLetter(f.Principal.Scope, f.Source, deviceMessage{"", cut(content)}, faults)})
	}
	letter, err := t.payloadLetter(ctx, content, faults)
	if err != nil {
		return err
	}
	return r.queue.Add(ctx, letter)
}
