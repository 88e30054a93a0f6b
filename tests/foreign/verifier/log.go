package main

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// proofs are those that Tocsin made of the log in whose folder they lie.
type proofs struct {
	Inclusion []struct {
		Index  int64       `json:"index"`
		Hashes []tlog.Hash `json:"hashes"`
	} `json:"inclusion"`
	Consistency []struct {
		Size   int64       `json:"size"`
		Root   tlog.Hash   `json:"root"`
		Hashes []tlog.Hash `json:"hashes"`
	} `json:"consistency"`
}

// checkLog checks a log folder from end to end: signatures, every entry, every tile, and the proofs beside it.
func checkLog(folder string, s *signers) (string, error) {
	signed, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return "", err
	}
	text, cosigned, err := s.open(signed)
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	tree, err := parseCheckpoint(text, s.log.Name())
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	leaves, stored, err := readEntries(folder, tree.N)
	if err != nil {
		return "", err
	}
	root, err := tlog.TreeHash(tree.N, stored)
	if err != nil {
		return "", err
	}
	if root != tree.Hash {
		return "", fmt.Errorf("the entries have the root %v, the checkpoint says %v", root, tree.Hash)
	}
	tiles := tlog.NewTiles(8, 0, tree.N)
	for _, t := range tiles {
		want, err := tlog.ReadTileData(t, stored)
		if err != nil {
			return "", err
		}
		got, err := os.ReadFile(filepath.Join(folder, tilePath(t)))
		if err != nil {
			return "", err
		}
		if !bytes.Equal(got, want) {
			return "", fmt.Errorf("%s does not hold the hashes of its entries", tilePath(t))
		}
	}
	made, err := checkProofs(folder, tree, leaves, tlog.TileHashReader(tree, tileReader(folder)))
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("size %d, %d cosigners, %d tiles, %d proofs", tree.N, cosigned, len(tiles), made), nil
}

func parseCheckpoint(text, origin string) (tlog.Tree, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, errors.New("not three lines")
	}
	if lines[0] != origin {
		return tlog.Tree{}, fmt.Errorf("origin %q is not %q", lines[0], origin)
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 || strconv.FormatInt(size, 10) != lines[1] {
		return tlog.Tree{}, fmt.Errorf("bad size %q", lines[1])
	}
	root, err := base64.StdEncoding.Strict().DecodeString(lines[2])
	if err != nil || len(root) != tlog.HashSize {
		return tlog.Tree{}, fmt.Errorf("bad root %q", lines[2])
	}
	return tlog.Tree{N: size, Hash: tlog.Hash(root)}, nil
}

// readEntries hashes all entry bundles into the hashes of the whole tree.
func readEntries(folder string, size int64) ([]tlog.Hash, tlog.HashReaderFunc, error) {
	var leaves, all []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		for i, index := range indexes {
			hashes[i] = all[index]
		}
		return hashes, nil
	})
	for start := int64(0); start < size; start += 256 {
		width := min(256, size-start)
		path := bundlePath(start/256, int(width))
		data, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			return nil, nil, err
		}
		for range width {
			if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
				return nil, nil, fmt.Errorf("%s ends within an entry", path)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			leaf := tlog.RecordHash(data[2:end])
			hashes, err := tlog.StoredHashesForRecordHash(int64(len(leaves)), leaf, reader)
			if err != nil {
				return nil, nil, err
			}
			leaves, all, data = append(leaves, leaf), append(all, hashes...), data[end:]
		}
		if len(data) != 0 {
			return nil, nil, fmt.Errorf("%s has bytes after its last entry", path)
		}
	}
	return leaves, reader, nil
}

// checkProofs checks the proofs in proofs.json against the tree, and that x/mod makes the same ones from the tiles.
func checkProofs(folder string, tree tlog.Tree, leaves []tlog.Hash, tiles tlog.HashReader) (int, error) {
	data, err := os.ReadFile(filepath.Join(folder, "proofs.json"))
	if err != nil {
		return 0, err
	}
	var p proofs
	if err := json.Unmarshal(data, &p); err != nil {
		return 0, fmt.Errorf("proofs.json: %w", err)
	}
	for _, q := range p.Inclusion {
		if err := tlog.CheckRecord(q.Hashes, tree.N, tree.Hash, q.Index, leaves[q.Index]); err != nil {
			return 0, fmt.Errorf("inclusion of %d: %w", q.Index, err)
		}
		own, err := tlog.ProveRecord(tree.N, q.Index, tiles)
		if err != nil {
			return 0, err
		}
		if !slices.Equal(own, q.Hashes) {
			return 0, fmt.Errorf("inclusion of %d: the tiles give another proof", q.Index)
		}
	}
	for _, q := range p.Consistency {
		if err := tlog.CheckTree(q.Hashes, tree.N, tree.Hash, q.Size, q.Root); err != nil {
			return 0, fmt.Errorf("consistency from %d: %w", q.Size, err)
		}
		own, err := tlog.ProveTree(tree.N, q.Size, tiles)
		if err != nil {
			return 0, err
		}
		if !slices.Equal(own, q.Hashes) {
			return 0, fmt.Errorf("consistency from %d: the tiles give another proof", q.Size)
		}
	}
	return len(p.Inclusion) + len(p.Consistency), nil
}

// tileReader serves x/mod's tile reads from a folder in C2SP layout.
type tileReader string

func (folder tileReader) Height() int { return 8 }

func (folder tileReader) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	out := make([][]byte, len(tiles))
	for i, t := range tiles {
		data, err := os.ReadFile(filepath.Join(string(folder), tilePath(t)))
		if err != nil {
			return nil, err
		}
		out[i] = data
	}
	return out, nil
}

func (folder tileReader) SaveTiles([]tlog.Tile, [][]byte) {}

// tilePath turns x/mod's path, which names the tile height, into that of C2SP.
func tilePath(t tlog.Tile) string {
	return strings.Replace(t.Path(), "tile/8/", "tile/", 1)
}

func bundlePath(index int64, width int) string {
	data := tlog.Tile{H: 8, L: -1, N: index, W: width}
	return strings.Replace(data.Path(), "tile/8/data/", "tile/entries/", 1)
}
