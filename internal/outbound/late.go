package outbound

// What a server lacks that was not reached in time, with what to look at. Before it comes "its name" or nothing, and %s
// is the time.
const (
	LateLookup     = "was not looked up %s: " + AskDNS
	LateConnection = "no connection %s: does it run at that address and port, and does a NetworkPolicy let amp reach it?"
	LateHandshake  = "no HTTPS connection %s: the handshake was not finished; is it overloaded, or does it speak plain HTTP there?"

	// AskDNS is what to look at if a look-up fails.
	AskDNS = "does DNS answer, and does a NetworkPolicy let amp ask it?"
)
