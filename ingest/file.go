package ingest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/holon-registry/holon/decode"
	"github.com/holon-registry/holon/registry"
)

// File says how a file is taken in, and by whom.
type File struct {
	Principal *registry.Principal
	// Source is "import", "ftp" and the like.
	Source string
	// Decoder reads the file, see [decode.Pieces]. Without one each line is a
	// reading, or an array of readings, see [ParseJSON].
	Decoder decode.Decoder
	// Template names that of the decoder where the file names its devices: those that
	// do not exist may be made of it. Device is the one that the whole file is of.
	Template, Device string
	ReceivedAt       time.Time
	// After is the line up to which the file was taken before.
	After int
	// Rehearse checks everything and queues nothing.
	Rehearse bool
	// Letters keeps lines that cannot be used as dead letters.
	Letters bool
	// Refused is told of each line that cannot be used, or not all of it.
	Refused func(LineFault) error
	// Ready, if it is set, is told how far the file will have come before a part of it
	// goes into the queue: what it fails with ends the taking.
	Ready func(FileProgress) error
	// Taken is told how far the file has come, whenever a part of it is in the queue.
	Taken func(FileProgress) error
}

// LineFault says why a line cannot be used.
type LineFault struct {
	Line    int
	Reason  registry.DeadLetterReason
	Message string
}

// FileProgress says how much of a file is in the queue.
type FileProgress struct {
	// Line is the last one that nothing more has to be done about, Offset where it
	// ends.
	Line   int
	Offset int64
	// Readings were accepted since the last time, Refused counts lines that were not.
	Readings, Refused int
}

// FileError says that a file cannot be read any further.
type FileError struct {
	Line  int
	Cause error
}

// Error implements error.
func (e *FileError) Error() string { return e.Cause.Error() }

// Unwrap lets errors.Is see the cause.
func (e *FileError) Unwrap() error { return e.Cause }

const (
	// fileBatch is how many readings of a file are handed over at once, fileWeight
	// how many bytes of its lines. They bound the memory that a file takes.
	fileBatch  = 2000
	fileWeight = 1 << 20
)

// TakeFile hands what a file holds to the queue, batch by batch, and waits for as
// long as that is full. Readings of a file say when they were measured: so a file
// that is taken twice, or from an earlier line on, leaves nothing twice.
//
// Its error is a *FileError where the file is at fault; with any other, taking it
// again from where it came to is safe.
func (r *Receiver) TakeFile(ctx context.Context, f File, in io.Reader) error {
	t := &fileTaking{receiver: r, file: f, letters: f.Letters && (!f.Principal.Bound() || f.Device != "")}
	decoder := f.Decoder
	if decoder == nil {
		decoder = readingsDecoder{}
	}
	var stopped error
	p := decode.Payload{ReceivedAt: f.ReceivedAt, Device: f.Device}
	err := decode.Pieces(ctx, decoder, p, in, func(piece decode.Piece) error {
		if stopped = ctx.Err(); stopped == nil && piece.Line > f.After {
			stopped = t.add(ctx, piece)
		}
		return stopped
	})
	if stopped != nil {
		return stopped
	}
	if sent := t.send(ctx); sent != nil {
		return sent
	}
	if err != nil {
		return &FileError{Line: t.last.Line, Cause: err}
	}
	return nil
}

// fileTaking is a file on its way into the queue.
type fileTaking struct {
	receiver *Receiver
	file     File
	// letters says whether dead letters may be kept at all.
	letters bool
	// lines and readings are those of the batch at hand; owner has the place of each
	// reading's line.
	lines    []fileLine
	readings []registry.Reading
	owner    []int
	weight   int
	last     decode.Piece
}

// fileLine is a line with what is wrong with it.
type fileLine struct {
	number  int
	content []byte
	faults  []Fault
	device  string
}

// add adds a line to the batch at hand.
func (t *fileTaking) add(ctx context.Context, piece decode.Piece) error {
	line := fileLine{number: piece.Line, content: piece.Content}
	if piece.Err != nil {
		line.faults = faultsOf(piece)
	} else if len(piece.Readings) == 1 {
		line.device = piece.Readings[0].Device
	}
	if piece.Err == nil {
		for _, reading := range piece.Readings {
			if !saysWhen(&reading) {
				line.faults = append(line.faults, Fault{Reason: registry.ReasonMalformed, Violation: registry.Violation{
					Path: "measuredAt", Rule: "required", Message: "a file's readings say when they were measured"}})
				continue
			}
			if t.file.Template != "" {
				reading.Template = t.file.Template // its devices may be made
			}
			t.readings, t.owner = append(t.readings, reading), append(t.owner, len(t.lines))
		}
	}
	t.lines, t.weight, t.last = append(t.lines, line), t.weight+len(piece.Content), piece
	if len(t.readings) < fileBatch && t.weight < fileWeight {
		return nil
	}
	return t.send(ctx)
}

// saysWhen says whether a reading, or else each of its values, has a time.
func saysWhen(r *registry.Reading) bool {
	if !r.MeasuredAt.IsZero() {
		return true
	}
	for _, value := range r.Values {
		if q, ok := value.(registry.Quantity); !ok || q.MeasuredAt.IsZero() {
			return false
		}
	}
	return len(r.Values) > 0
}

// faultsOf says what is wrong with a line that cannot be decoded.
func faultsOf(piece decode.Piece) []Fault {
	if read, ok := errors.AsType[*faultyReadings](piece.Err); ok {
		return read.faults
	}
	// What follows tells the line anyway.
	message := strings.TrimPrefix(piece.Err.Error(), fmt.Sprintf("line %d, ", piece.Line))
	return undecodable(message).Faults
}

// send hands over the batch at hand, and waits for as long as the queue is full.
func (t *fileTaking) send(ctx context.Context) error {
	if len(t.lines) == 0 {
		return nil
	}
	start := time.Now()
	good, faults, err := t.check(ctx)
	if err != nil {
		t.receiver.observe(t.file.Source, answerOf(err), start, 0, len(t.readings))
		return err
	}
	refused := 0
	for i := range t.lines {
		if len(faults[i]) == 0 {
			continue
		}
		refused++
		if err := t.file.Refused(LineFault{t.lines[i].number, faults[i][0].Reason, tell(faults[i])}); err != nil {
			return err
		}
	}
	come := FileProgress{Line: t.last.Line, Offset: t.last.Offset, Readings: len(good), Refused: refused}
	if t.file.Ready != nil {
		if err := t.file.Ready(come); err != nil {
			return err
		}
	}
	if !t.file.Rehearse {
		if err := t.queue(ctx, good, faults); err != nil {
			t.receiver.observe(t.file.Source, answerOf(err), start, 0, len(t.readings))
			return err
		}
		t.receiver.observe(t.file.Source, answerAccepted, start, len(good), 0)
		if refused > 0 {
			answer := answerOf(registry.Invalid())
			if t.letters {
				answer = answerDeadLetter
			}
			t.receiver.observe(t.file.Source, answer, start, 0, refused)
		}
	}
	t.lines, t.readings, t.owner, t.weight = t.lines[:0], t.readings[:0], t.owner[:0], 0
	return t.file.Taken(come)
}

// tell puts together what is wrong with a line.
func tell(faults []Fault) string {
	told := make([]string, 0, min(len(faults), 10))
	for _, fault := range faults[:min(len(faults), 10)] {
		if fault.Path != "" {
			told = append(told, fault.Path+": "+fault.Message)
		} else {
			told = append(told, fault.Message)
		}
	}
	return strings.Join(told, "; ")
}

// check finds the readings of the batch that are right, and what is wrong with
// each line.
func (t *fileTaking) check(ctx context.Context) (good []registry.AcceptedReading, faults [][]Fault, err error) {
	r, principal := t.receiver, t.file.Principal
	checked, err := r.check(ctx, principal, t.file.Source, t.readings, nil)
	if err == nil && !t.file.Rehearse {
		err = r.announce(ctx, principal, checked, t.readings, func(i int) int { return i })
	}
	if err != nil {
		return nil, nil, err
	}
	faults = make([][]Fault, len(t.lines))
	for i := range t.lines {
		faults[i] = slices.Clip(t.lines[i].faults)
	}
	for _, fault := range checked.faults {
		line := t.owner[fault.Index]
		faults[line] = append(faults[line], fault)
	}
	return checked.good(), faults, nil
}

// queue queues readings, and dead letters of lines that have faults. Letters come
// last, and those of each partition by themselves: readings leave nothing twice if
// they are queued again because a part of them was not, letters would.
func (t *fileTaking) queue(ctx context.Context, good []registry.AcceptedReading, faults [][]Fault) error {
	letters := map[int][]registry.AcceptedReading{}
	for i := range t.lines {
		if !t.letters || len(faults[i]) == 0 {
			continue
		}
		letter, err := t.letter(ctx, &t.lines[i], faults[i])
		if err != nil {
			return err
		}
		for _, one := range letter {
			at := registry.PartitionOf(partitionKey(&one), t.receiver.queue.Partitions())
			letters[at] = append(letters[at], one)
		}
	}
	if err := t.put(ctx, good); err != nil {
		return err
	}
	for _, at := range slices.Sorted(maps.Keys(letters)) {
		if err := t.put(ctx, letters[at]); err != nil {
			return err
		}
	}
	return nil
}

// put waits for as long as the queue is full.
func (t *fileTaking) put(ctx context.Context, readings []registry.AcceptedReading) error {
	for {
		start := time.Now()
		err := t.receiver.queue.Add(ctx, readings)
		wait := RetryAfter(err)
		if wait == 0 {
			return err
		}
		t.receiver.observe(t.file.Source, answerOf(err), start, 0, len(readings))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
	}
}

// FileDecoder finds the decoder of a template, or of a device's template, that a
// principal may send files for: NOT_FOUND if there is no such, INVALID if its
// template has no decoder.
func (r *Receiver) FileDecoder(ctx context.Context, principal *registry.Principal, template, device string) (decode.Decoder, error) {
	m := []rawMessage{{reference: device, template: template}}
	targets, err := r.targets(ctx, principal, m, make([]rawCheck, 1))
	if err != nil {
		return nil, err
	}
	switch {
	case targets[0] == nil && device != "":
		return nil, &registry.Error{Code: registry.CodeNotFound, Message: "there is no device " + strconv.Quote(shorten(device, maxReference)) + " that this key may send for"}
	case targets[0] == nil:
		return nil, &registry.Error{Code: registry.CodeNotFound, Message: "there is no published template " + strconv.Quote(shorten(template, maxReference)) + " of devices"}
	}
	decoder, problem := r.directory.decoder(targets[0])
	if problem != "" {
		return nil, registry.Invalid(registry.Violation{Path: "decoder", Rule: "required", Message: problem})
	}
	return decoder, nil
}

// readingsDecoder reads lines of readings as they are sent over HTTP.
type readingsDecoder struct{}

// Decode implements decode.Decoder.
func (readingsDecoder) Decode(_ context.Context, p decode.Payload) ([]registry.Reading, error) {
	read := ParseJSON(p.Content, p.Device)
	if len(read.Faults) > 0 {
		return nil, &faultyReadings{read.Faults}
	}
	return read.Readings, nil
}

// faultyReadings is a line with readings that are wrong.
type faultyReadings struct{ faults []Fault }

// Error implements error.
func (f *faultyReadings) Error() string { return invalid(f.faults).Error() }
