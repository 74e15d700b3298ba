package main

// row is one attack. It ends with run.fail if amp does not stand it.
type row struct {
	kind  string
	input string
	try   func(*run)
}

// rows is the table. Each row has its own processes.
var rows = []row{
	{"work", `an answer of one op, limits/cpu "1e-99999999"`, oneQuantity},
	{"work", `the same, "1e-999999999" eight times at once`, eightQuantities},
	{"work", "a list of 150,000, then 9,000 inserts at its front", manyInserts},
	{"work", "the same with a last op that only the API server's library fails", manyInsertsThatFail},
	{"work", "1,300 inserts, and only the library fails the last op", shortInsertsThatFail},
	{"work", "9,989 ops that each lose a key", manyLostKeys},
	{"work", "an annotation with 9,039 URLs", manyEndpoints},
	{"work", "an annotation with one URL of 250 KB", longURL},
	{"work", "a list of creators that is 250,000 quotes", manyQuotes},

	{"memory", "32 Pods of 2.9 MiB at once", largePods},
	{"memory", "128 Pods of 1 MiB, the endpoint hangs", hangingPods},
	{"memory", "64 reviews of 6.9 MiB, answers of 1 MiB", largeAnswers},
	{"memory", "32 Pods at once, their names of 2.9 MB", longNames},
	{"memory", "32 Pods at once with 250,000 labels each", manyLabels},
	{"memory", "64 reviews at once with a long uid, user, groups, resource", longReviews},
	{"memory", "256 bodies of 6.9 MiB that never end", endlessBodies},

	{"starving", "four reviews with unbounded work, beside a neighbour", besideWork},
	{"starving", "256 reviews at once for an endpoint that hangs, beside a neighbour", besideHanging},
	{"starving", "large Pods, beside a neighbour", besideLargePods},
	{"starving", "A floods, the sink takes 200 ms, B sends 99", floodedSink},
	{"starving", "one host, its port spelt in 250 ways", spelledPorts},

	{"circuit", "1,600 reviews for an endpoint that hangs", hangingEndpoint},
	{"circuit", "1,600 reviews for an endpoint that is not there", absentEndpoint},

	{"whole patch", "a chain whose steps copy 1.4 and 2.1 MB", copiesTogether},
	{"whole patch", "a chain whose second step tests nulls of the first", nullsTogether},

	{"addresses", "metadata, public and translated addresses, by default", addressesByDefault},
	{"addresses", "the same with AMP_ENDPOINT_ALLOW=*", addressesByGlob},
	{"addresses", "the same with ranges that hold them", addressesByRange},
	{"addresses", "the API server on another of its addresses", apiServers},
	{"addresses", "bad globs: 10.*, 0x7f000001, a..b", badGlobs},

	{"configuration", "AMP_PATCH_DENY of nothing, of a field that is none", badDenyLists},
	{"configuration", "other lists without an entry", badLists},

	{"ways out", "an endpoint adds the label amp.txn2.com/enabled=false", wayOut},

	{"plain port", "1,500 half-sent bodies", halfBodies},
	{"TLS port", "1,500 half-sent headers, handshakes and bodies", halfHeaders},
	{"TLS port", "900 callers, each with 1 MB of headers", largeHeaders},
	{"TLS port", "900 handshakes, each with most of a certificate of 240 KB", largeCertificates},
	{"metrics port", "15,000 callers that ask once and stay", stayingScrapers},
	{"metrics port", "3,000 callers that ask and do not read, 200 hosts", slowScrapers},

	{"redaction", "a secret at /spec/hostname, moved to an env value", movedSecret},

	{"audit", "a forged <id>/final beside the genuine event", forgedFinal},
	{"audit", "a caller without a token posts; amp sends its own", writeToken},
	{"audit", "40 events, each with 12 MiB of URLs", largeEvents},
	{"audit", "?user=%zz and its kind", badQueries},
	{"audit", "a second process on the same file", secondProcess},
	{"audit", "64 silent streams, and then more", silentStreams},
	{"audit", "3,000 posts of 256 KiB that do not end", endlessPosts},
	{"audit", "300 posts at once, of 80,000 values each", wholePosts},
	{"audit", "1,500 readers of large pages that do not read", slowReaders},
	{"audit", "15,000 readers that ask once and stay", stayingReaders},
	{"audit", "one id from 200 sources, 200 forged validations of it", manyValidations},
	{"audit", "numbers that are too large", extremeNumbers},
	{"audit", "72,000 new names, and filters that fit none of them", manyTerms},
	{"audit", "JSON of four million levels", deepJSON},
}
