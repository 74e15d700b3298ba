package doctor

import (
	"context"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// newClient makes a client for the API groups that the doctor reads. client-go's clientset knows all groups, and is not
// linked for that: the plugin would be 9 MB larger, and the start of each of its commands would take half as long again.
func newClient(config *rest.Config) (*rest.RESTClient, error) {
	scheme := runtime.NewScheme()
	groups := runtime.NewSchemeBuilder(
		admissionv1.AddToScheme, appsv1.AddToScheme, authenticationv1.AddToScheme, authorizationv1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme)
	if err := groups.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	config.APIPath, config.GroupVersion = "/api", &corev1.SchemeGroupVersion // request names the other groups
	return rest.RESTClientFor(config)
}

// request begins a request with an HTTP method for a resource of a group. Without a namespace, it is for all of them, or
// for a resource that is in none.
func (c *cluster) request(method string, group schema.GroupVersion, namespace, resource string) *rest.Request {
	r := c.rest.Verb(method).UseProtobufAsDefault().NamespaceIfScoped(namespace, namespace != "").Resource(resource)
	if group != corev1.SchemeGroupVersion {
		r.AbsPath("/apis", group.Group, group.Version)
	}
	return r
}

// ask makes one request, within the time for one, and returns the object or the list that is the answer. It returns nil
// with an error.
func ask[T any, Object interface {
	*T
	runtime.Object
}](ctx context.Context, c *cluster, request *rest.Request) (Object, error) {
	return get(ctx, c, func(ctx context.Context) (Object, error) {
		object := Object(new(T))
		if err := request.Do(ctx).Into(object); err != nil {
			return nil, err
		}
		return object, nil
	})
}
