package outbound

// Messages about a server that was not reached in time, each with what to check. %s is the time ("within 1.5s"). LateLookup
// follows the words "its name".
const (
	LateLookup     = "was not looked up %s: " + AskDNS
	LateConnection = "no connection %s: does it run at that address and port, and does a NetworkPolicy let amp reach it?"
	LateHandshake  = "no HTTPS connection %s: the handshake was not finished; is it overloaded, or does it speak plain HTTP there?"

	// AskDNS is what to look at if a look-up fails.
	AskDNS = "does DNS answer, and does a NetworkPolicy let amp ask it?"
)
