package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
)

// connection is a client with one HTTP connection. It sends requests that were
// written beforehand: on a machine that client and server share, what the
// client does is taken from the server.
type connection struct {
	conn   net.Conn
	reader *bufio.Reader
}

func dial(ctx context.Context, address string) (*connection, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &connection{conn, bufio.NewReaderSize(conn, 64<<10)}, nil
}

func (c *connection) close() error { return c.conn.Close() }

// do sends a request and returns status and body of the answer.
func (c *connection) do(request []byte) (int, []byte, error) {
	if _, err := c.conn.Write(request); err != nil {
		return 0, nil, err
	}
	response, err := http.ReadResponse(c.reader, nil)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if n := response.ContentLength; n >= 0 {
		body := make([]byte, n)
		_, err = io.ReadFull(response.Body, body)
		return response.StatusCode, body, err
	}
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, body, err
}

// post writes a POST of JSON.
func post(address, path, secret string, body []byte) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		path, address, secret, len(body), body)
}
