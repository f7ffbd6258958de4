package emulator

var clientCredentialsFaults = []Fault{}
