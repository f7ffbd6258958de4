package emulator

var requestFaults = []Fault{}
