package guest

import (
	"bytes"
	"debug/elf"
)

// modinfo returns the .modinfo section of a kernel module, nil when it has none.
func modinfo(ko []byte) []byte {
	f, err := elf.NewFile(bytes.NewReader(ko))
	if err != nil {
		return nil
	}
	defer f.Close()
	s := f.Section(".modinfo")
	if s == nil {
		return nil
	}
	b, err := s.Data()
	if err != nil {
		return nil
	}
	return b
}
