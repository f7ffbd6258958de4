package load

// An Outcome is what became of one request.
type Outcome uint8

const (
	Token       Outcome = iota
	Throttled           // the documented or standard answer to a limit, whatever its status
	Refused             // an OAuth error, or any other 4xx
	Malformed           // success without a usable token
	ServerError         // 5xx
	Timeout
	Connection // refused, reset, TLS

	outcomes = int(Connection) + 1
)

func (o Outcome) String() string {
	return [...]string{"token", "throttled", "refused", "malformed", "server_error", "timeout", "connection"}[o]
}

// ThrottleForm is what one kind of throttled answer looked like, and how many did.
type ThrottleForm struct {
	Status int `json:"status"`
	Count  int `json:"count"`
}
