package emulator

var clientAuthFaults = []Fault{}
