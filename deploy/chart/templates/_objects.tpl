{{/*
START HERE. The objects are those of files/, which kustomize renders from the folders of deploy. A template of this chart
takes a file, changes its objects as the values say, and renders them. So both ways of installing amp are the same.

amp.objects renders the objects of a file. Its argument is a dict: root is the chart's context, file the file's name.
A namespace like 2024 or no is a string for Kubernetes, and another type for YAML. So it gets quotes where it stands alone.
*/}}
{{- define "amp.objects" -}}
{{- $root := .root -}}
{{- $text := $root.Files.Get (printf "files/%s.yaml" .file) -}}
{{- $text = regexReplaceAll "(?m)(: |- )amp-system$" $text `${1}"amp-system"` -}}
{{- $text = replace "amp-system" (include "amp.namespace" $root) $text -}}
{{- range $document := splitList "\n---\n" $text }}
{{- $object := fromYaml $document }}
{{- if not (include "amp.left-out" (dict "root" $root "object" $object)) }}
{{- include "amp.change" (dict "root" $root "object" $object) }}
---
{{ toYaml $object }}
{{- end }}
{{- end }}
{{- end -}}

{{/* amp.namespace is the namespace of amp. Nobody means `default`: the webhooks leave out the Pods there. */}}
{{- define "amp.namespace" -}}
{{- .Values.namespace | default (ternary "amp-system" .Release.Namespace (eq .Release.Namespace "default")) -}}
{{- end -}}

{{/*
amp.left-out is not empty for an object that the values do not want. Helm makes the namespace of the release itself
(--create-namespace), so it cannot be one of its objects; `helm template`, which has no cluster, renders it.
*/}}
{{- define "amp.left-out" -}}
{{- $values := .root.Values }}
{{- with .object }}
{{- if eq .kind "Namespace" }}
{{- if and (eq .metadata.name $.root.Release.Namespace) (lookup "v1" "Namespace" "" "kube-system") }}yes{{ end }}
{{- else if eq .kind "PriorityClass" }}
{{- if ne $values.priorityClassName .metadata.name }}yes{{ end }}
{{- else if and (eq .kind "PodDisruptionBudget") (eq .metadata.name "amp") }}
{{- if not $values.podDisruptionBudget.enabled }}yes{{ end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* amp.change changes an object in its place. It renders nothing, and neither do those that it includes. */}}
{{- define "amp.change" -}}
{{- $values := .root.Values }}
{{- $labels := dict }}
{{- with .object }}
{{- $name := printf "%s %s" .kind .metadata.name }}
{{- if eq $name "Deployment amp" }}{{ include "amp.proxy" $ }}
{{- else if eq $name "Deployment audit" }}{{ include "amp.audit" $ }}
{{- else if eq $name "Deployment endpoints" }}
{{- include "amp.pod" (dict "pod" .spec.template.spec "root" $.root "image" $values.endpointsImage) }}
{{- else if eq $name "PersistentVolumeClaim audit" }}
{{- $_ := set .spec.resources.requests "storage" $values.audit.storage.size }}
{{- with $values.audit.storage.storageClassName }}{{ $_ := set $.object.spec "storageClassName" . }}{{ end }}
{{- else if eq $name "PodDisruptionBudget amp" }}
{{- $_ := set .spec "maxUnavailable" $values.podDisruptionBudget.maxUnavailable }}
{{- else if eq $name "HorizontalPodAutoscaler amp" }}
{{- with $values.autoscaling }}
{{- if gt (int .minReplicas) (int .maxReplicas) }}
{{- fail (printf "autoscaling.minReplicas is %d, which is more than autoscaling.maxReplicas, %d" (int .minReplicas) (int .maxReplicas)) }}
{{- end }}
{{- $_ := set $.object.spec "minReplicas" .minReplicas }}
{{- $_ := set $.object.spec "maxReplicas" .maxReplicas }}
{{- range $metric := $.object.spec.metrics }}{{ $_ := set $metric.resource.target "averageUtilization" $values.autoscaling.targetCPU }}{{ end }}
{{- end }}
{{- else if hasSuffix "WebhookConfiguration" .kind }}{{ include "amp.webhooks" $ }}
{{- else if hasPrefix "monitoring.coreos.com/" .apiVersion }}{{ $labels = $values.alerts.labels }}
{{- else if eq $name "ConfigMap amp-dashboards" }}{{ $labels = $values.dashboards.labels }}
{{- end }}
{{- $all := merge (dict) (.metadata.labels | default dict) $labels $values.labels }}
{{- if $all }}{{ $_ := set .metadata "labels" $all }}{{ end }}
{{- end }}
{{- end -}}

{{- define "amp.webhooks" -}}
{{- $out := .root.Values.webhooks.excludedNamespaces }}
{{- range $webhook := .object.webhooks }}
{{- range $e := $webhook.namespaceSelector.matchExpressions }}
{{- if and $out (eq $e.key "kubernetes.io/metadata.name") }}{{ $_ := set $e "values" (concat $e.values $out | uniq) }}{{ end }}
{{- end }}
{{- end }}
{{- end -}}
