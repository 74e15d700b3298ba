package callout

import "net/netip"

// metadata are the addresses at which clouds give an instance its credentials and secrets. No request to them needs a
// password, and some tenants of amp can choose a URL. A name or a range never opens one of them: only an entry with the
// address itself does. The network policies of deploy/network-policy leave out the same addresses.
//
// Other link-local addresses are not in this list: a name does not open them either.
var metadata = []struct {
	addr   netip.Addr
	cloud  string
	source string
}{
	{ip("169.254.169.254"), "Amazon, Google, Azure and most others", "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html"},
	{ip("fd00:ec2::254"), "Amazon EC2", "https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html"},
	{ip("169.254.170.2"), "Amazon ECS", "https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html"},
	{ip("169.254.170.23"), "Amazon EKS Pod Identity", "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html"},
	{ip("fd00:ec2::23"), "Amazon EKS Pod Identity", "https://docs.aws.amazon.com/eks/latest/userguide/pod-id-agent-setup.html"},
	{ip("fd20:ce::254"), "Google Compute Engine", "https://cloud.google.com/compute/docs/metadata/querying-metadata"},
	{ip("168.63.129.16"), "Azure's WireServer", "https://learn.microsoft.com/azure/virtual-network/what-is-ip-address-168-63-129-16"},
	{ip("100.100.100.200"), "Alibaba Cloud", "https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata"},
	{ip("fd00:100::100:200"), "Alibaba Cloud", "https://www.alibabacloud.com/help/en/ecs/user-guide/view-instance-metadata"},
	{ip("192.0.0.192"), "Oracle Cloud Classic", "https://docs.oracle.com/en/cloud/iaas/compute-iaas-cloud/stcsg/retrieving-instance-metadata.html"},
	{ip("fd00:c1::a9fe:a9fe"), "Oracle Cloud", "https://docs.oracle.com/en-us/iaas/Content/Compute/Tasks/gettingmetadata.htm"},
	{ip("169.254.0.23"), "Tencent Cloud", "https://www.tencentcloud.com/document/product/213/4934"},
	{ip("169.254.42.42"), "Scaleway", "https://www.scaleway.com/en/docs/instances/how-to/use-cloud-init/"},
	{ip("fd00:42::42"), "Scaleway", "https://www.scaleway.com/en/docs/instances/how-to/use-cloud-init/"},
	{ip("fd00:a9fe:a9fe::1"), "Akamai (Linode)", "https://techdocs.akamai.com/cloud-computing/docs/metadata-service-api"},
	{ip("100.96.0.96"), "Volcano Engine", "https://www.volcengine.com/docs/6396/71962"},
	{ip("100.80.80.80"), "UCloud", "https://docs.ucloud.cn/uhost/guide/metadata/metadata-server"},
	{ip("fe80::a9fe:a9fe"), "OpenStack", "https://docs.openstack.org/nova/latest/user/metadata.html"},
}

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// isMetadata reports whether the address is one of metadata.
func isMetadata(addr netip.Addr) bool {
	for i := range metadata {
		if metadata[i].addr == addr {
			return true
		}
	}
	return false
}
