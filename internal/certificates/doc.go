// Package certificates makes and renews amp's own serving certificate (AMP_TLS=self), and keeps every API server able
// to verify it.
//
// The certificate and the CAs to trust are stored in one Secret, which all replicas share. The CAs are also written
// into the webhook configurations, where the API server reads them.
//
// There is no leader. Each replica runs the same loop, [Reconciler.Run]. One turn of it is [Reconciler.Reconcile]:
//
//	observe  read the webhook configurations, then the Secret           [Cluster], [Observe]
//	decide   the one next step, and which pair this replica serves      [Decide]: a pure function. START HERE
//	make     a CA and a certificate, where the step needs a new pair    [Make]
//	write    on condition that the object has not changed since it was read
//
// A renewal makes a CA and one certificate that the CA signs, and drops the CA's key. So no key that could sign another
// certificate is stored anywhere. Because a renewal runs every two months, an error in it is noticed early.
//
// A bundle holds two CAs from the moment a renewal is staged until the old CA has ended, and one CA the rest of the time.
// With a lifetime of 90 days a renewal is staged every 60 days, and the old CA ends 30 days later. CAs that amp found in
// the bundles and adopted are extra. They stay until they end or until the next renewal.
//
// The package does not know the cluster's client, which is in package cluster, and does not listen on a port.
package certificates
