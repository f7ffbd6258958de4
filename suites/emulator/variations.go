package emulator

var variations = []Variation{}
