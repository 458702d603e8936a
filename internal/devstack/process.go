package devstack

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"time"
)

const (
	// startLimit is far above a usual start (7 s for Neo4j on two cores) because
	// a machine that also compiles can take several times as long.
	startLimit = 2 * time.Minute
	// patience is how long a start is repeated while another process still
	// holds the store's lock or port.
	patience = 10 * time.Second
)

var errClosed = errors.New("the stack is closed")

// Process is one store's operating-system process. It keeps its port and its
// data over Kill, Stop and Restart. Its methods may be called from any goroutine.
type Process struct {
	name    string
	logPath string
	// command makes a fresh command for each start, with the same port and data.
	command func() *exec.Cmd
	// answers tries once whether the process with that pid is ready. It gets
	// what the process has written to its log since it was started.
	answers func(pid int, output string) error
	// grace is how long the process may take to stop before it is killed.
	grace time.Duration

	mu     sync.Mutex
	now    *instance // nil before the first start
	closed bool
}

// instance is one life of a process.
type instance struct {
	cmd     *exec.Cmd
	ended   chan struct{} // closed when the process has been waited for
	status  error         // how it ended; read it only after ended
	logFrom int64         // where its output begins in the log file
}

// endedError says that a process ended before it was ready, and its last words.
type endedError struct {
	name, output string
	status       error
	logPath      string
}

func (e *endedError) Error() string {
	return fmt.Sprintf("%s ended before it was ready (%v); its log %s ends:\n%s", e.name, e.status, e.logPath, e.output)
}

func (e *endedError) Unwrap() error { return e.status }

// Pid returns the process id of the newest start, or 0 when there was none.
func (p *Process) Pid() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.now == nil {
		return 0
	}
	return p.now.cmd.Process.Pid
}

// Kill ends the process at once (SIGKILL), as a crash would, and returns when it
// is gone. A process that is not running is no error.
func (p *Process) Kill() error {
	in := p.instance()
	if in == nil {
		return nil
	}
	if err := in.signal(os.Kill); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-in.ended
	return nil
}

// Pause stops the process from running without ending it (SIGSTOP): it keeps its
// connections and answers nothing until Continue.
func (p *Process) Pause() error { return p.signalled("pause", pauseSignal) }

// Continue lets a paused process run again (SIGCONT).
func (p *Process) Continue() error { return p.signalled("continue", continueSignal) }

func (p *Process) signalled(verb string, sig os.Signal) error {
	in := p.instance()
	if in == nil {
		return fmt.Errorf("%s %s: it is not running", verb, p.name)
	}
	if err := in.cmd.Process.Signal(sig); err != nil {
		return fmt.Errorf("%s %s: %w", verb, p.name, err)
	}
	return nil
}

// Stop asks the process to end and returns when it has. One that takes longer
// than its grace is killed, which is reported as an error. Stopping a process
// that is not running is no error.
func (p *Process) Stop() error {
	in := p.instance()
	if in == nil {
		return nil
	}
	// A paused process would never see the request.
	err := errors.Join(in.signal(continueSignal), in.signal(stopSignal))
	if err != nil {
		return errors.Join(fmt.Errorf("stop %s: %w", p.name, err), p.Kill())
	}
	select {
	case <-in.ended:
		return nil
	case <-time.After(p.grace):
		err := fmt.Errorf("%s did not stop within %s and was killed", p.name, p.grace)
		return errors.Join(err, p.Kill())
	}
}

// Restart stops the process if it runs and starts it again on the same port and
// data. It returns when the store answers.
func (p *Process) Restart(ctx context.Context) error {
	if err := p.Stop(); err != nil {
		return err
	}
	return p.startPatiently(ctx, func(e *endedError) bool { return lockHeld(e) || portTaken(e) })
}

// close stops the process for good. It may be called on a process that was never made.
func (p *Process) close() error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	return p.Stop()
}

func (p *Process) instance() *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.now
}

func (in *instance) signal(sig os.Signal) error {
	err := in.cmd.Process.Signal(sig)
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// startPatiently starts the process, and again for a while as long as it ends
// for a reason that passes by itself.
func (p *Process) startPatiently(ctx context.Context, passing func(*endedError) bool) error {
	var until time.Time
	for {
		err := p.start(ctx)
		var ended *endedError
		if err == nil || !errors.As(err, &ended) || !passing(ended) {
			return err
		}
		if until.IsZero() {
			until = time.Now().Add(patience)
		}
		if time.Now().After(until) {
			return err
		}
		if err := sleep(ctx, 250*time.Millisecond); err != nil {
			return err
		}
	}
}

// start starts the process once and waits until it answers. What did not get
// ready is killed.
func (p *Process) start(ctx context.Context) error {
	in, err := p.launch()
	if err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	limit := time.After(startLimit)
	for {
		// Whether it has ended is asked before the output is read, so that the
		// output of an ended process is complete.
		var ended bool
		select {
		case <-in.ended:
			ended = true
		default:
		}
		output := readLog(p.logPath, in.logFrom)
		if ended {
			return &endedError{p.name, lastLines(output), in.status, p.logPath}
		}
		notReady := p.answers(in.cmd.Process.Pid, output)
		if notReady == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("start %s: %w", p.name, context.Cause(ctx)), p.Kill())
		case <-limit:
			err := fmt.Errorf("%s does not answer after %s (%w); its log %s ends:\n%s", p.name, startLimit, notReady, p.logPath, lastLines(output))
			return errors.Join(err, p.Kill())
		case <-in.ended:
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// launch starts the process with its output appended to its log file.
func (p *Process) launch() (*instance, error) {
	log, from, err := openLog(p.logPath)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, errClosed
	}
	cmd := p.command()
	cmd.Stdout, cmd.Stderr = log, log
	release, err := startBound(cmd)
	if err != nil {
		return nil, err
	}
	in := &instance{cmd: cmd, ended: make(chan struct{}), logFrom: from}
	p.now = in
	go func() {
		in.status = cmd.Wait()
		if in.status == nil {
			in.status = errors.New("exit status 0")
		}
		release()
		close(in.ended)
	}()
	return in, nil
}
