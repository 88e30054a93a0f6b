// Command verifier checks logs written by Tocsin with golang.org/x/mod/sumdb, which shares no code with it.
//
//	verifier logs <trust.json> <folder>...   one line a folder: "ok ..." or "bad ..."
//	verifier notes <trust.json>              framed notes on stdin: one line each, "accepted" or "refused"
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/note"
)

// trust is what a verifier must bring along: the log's key and those of its cosigners.
type trust struct {
	Log       string   `json:"log"`
	Cosigners []string `json:"cosigners"`
	Quorum    int      `json:"quorum"`
}

func main() {
	if len(os.Args) < 3 {
		fail(errors.New("usage: verifier logs <trust.json> <folder>... | verifier notes <trust.json>"))
	}
	trusted, err := readTrust(os.Args[2])
	if err != nil {
		fail(err)
	}
	switch os.Args[1] {
	case "logs":
		good := true
		for _, folder := range os.Args[3:] {
			if report, err := checkLog(folder, trusted); err != nil {
				good = false
				fmt.Printf("bad %s: %v\n", folder, err)
			} else {
				fmt.Printf("ok %s: %s\n", folder, report)
			}
		}
		if !good {
			os.Exit(1)
		}
	case "notes":
		if err := openNotes(os.Stdin, os.Stdout, trusted); err != nil {
			fail(err)
		}
	default:
		fail(fmt.Errorf("unknown command %q", os.Args[1]))
	}
}

func readTrust(path string) (*signers, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var t trust
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, err
	}
	log, err := note.NewVerifier(t.Log)
	if err != nil {
		return nil, fmt.Errorf("log key: %w", err)
	}
	s := &signers{log: log, quorum: t.Quorum}
	for _, vkey := range t.Cosigners {
		c, err := newCosigner(vkey)
		if err != nil {
			return nil, fmt.Errorf("cosigner %s: %w", vkey, err)
		}
		s.cosigners = append(s.cosigners, c)
	}
	return s, nil
}

// openNotes reads notes, each after its length in 4 big-endian bytes, and says which of them note.Open accepts.
func openNotes(in io.Reader, out io.Writer, s *signers) error {
	r, w := bufio.NewReader(in), bufio.NewWriter(out)
	for {
		var size uint32
		if err := binary.Read(r, binary.BigEndian, &size); err == io.EOF {
			return w.Flush()
		} else if err != nil {
			return err
		}
		data := make([]byte, size)
		if _, err := io.ReadFull(r, data); err != nil {
			return err
		}
		verdict := "accepted"
		if _, err := note.Open(data, s.list()); err != nil {
			verdict = "refused"
		}
		fmt.Fprintln(w, verdict)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}
