{{/*
amp.pod changes what every Pod of the chart has: the image of its one container. Its argument is a dict: pod is the Pod's
spec, image the values for its image, root the chart's context.
*/}}
{{- define "amp.pod" -}}
{{- $container := first .pod.containers }}
{{- $released := $container.image }}
{{- $digest := regexFind "@.*$" $released }}
{{- $tag := trimSuffix $digest $released | regexFind ":[^:/]+$" }}
{{- $repository := trimSuffix (print $tag $digest) $released }}
{{- with .image.tag }}{{ $tag = print ":" . }}{{ $digest = "" }}{{ end }}
{{- with .image.digest }}{{ $digest = print "@" . }}{{ end }}
{{- $_ := set $container "image" (print (.image.repository | default $repository) $tag $digest) }}
{{- $_ := set $container "imagePullPolicy" .image.pullPolicy }}
{{- with .root.Values.imagePullSecrets }}{{ $_ := set $.pod "imagePullSecrets" . }}{{ end }}
{{- end -}}

{{/*
amp.variables are the variables of a map of values, as a YAML list of entries of a container. null: none. Helm reads a whole
number from a file as a float64, and would write a large one as 1e+06.
*/}}
{{- define "amp.variables" -}}
{{- $env := list }}
{{- range $name, $value := . }}
{{- if kindIs "float64" $value }}{{ $value = int64 $value }}{{ end }}
{{- if not (kindIs "invalid" $value) }}{{ $env = append $env (dict "name" $name "value" (toString $value)) }}{{ end }}
{{- end }}
{{- toYaml $env }}
{{- end -}}

{{/* amp.env sets one variable of a container: env is its entry, as in a container. One of the same name goes. */}}
{{- define "amp.env" -}}
{{- $rest := list }}
{{- range $e := .container.env }}
{{- if ne $e.name $.env.name }}{{ $rest = append $rest $e }}{{ end }}
{{- end }}
{{- $_ := set .container "env" (append $rest .env) }}
{{- end -}}

{{/*
amp.memory sets the resources of a container, and GOMEMLIMIT in the same proportion to limits.memory: share of 32. If they
are as released, nothing changes.
*/}}
{{- define "amp.memory" -}}
{{- $memory := dig "limits" "memory" "" .resources }}
{{- if ne $memory (dig "resources" "limits" "memory" "" .container) }}
{{- $mib := trimSuffix "Mi" $memory | trimSuffix "Gi" | int }}
{{- if hasSuffix "Gi" $memory }}{{ $mib = mul $mib 1024 }}{{ end }}
{{- $limit := printf "%dMiB" (div (mul $mib .share) 32) }}
{{- range $e := .container.env }}
{{- if eq $e.name "GOMEMLIMIT" }}{{ $_ := set $e "value" (ternary $limit "off" (gt $mib 0)) }}{{ end }}
{{- end }}
{{- end }}
{{- $_ := set .container "resources" .resources }}
{{- end -}}

{{/* amp.proxy changes the Deployment of amp. */}}
{{- define "amp.proxy" -}}
{{- $values := .root.Values }}
{{- $spec := .object.spec }}
{{- $pod := $spec.template.spec }}
{{- $container := first $pod.containers }}
{{- include "amp.pod" (dict "pod" $pod "root" .root "image" $values.image) }}
{{- include "amp.memory" (dict "container" $container "resources" $values.resources "share" 25) }}
{{- $_ := set $spec "replicas" $values.replicas }}
{{- if $values.autoscaling.enabled }}{{ $_ := unset $spec "replicas" }}{{ end }}
{{- $_ := set $spec.template.metadata "labels" (merge (dict) $spec.template.metadata.labels $values.podLabels) }}
{{- with $values.podAnnotations }}{{ $_ := set $spec.template.metadata "annotations" . }}{{ end }}
{{- range $key := list "nodeSelector" "tolerations" "affinity" }}
{{- with get $values $key }}{{ $_ := set $pod $key . }}{{ end }}
{{- end }}
{{- if kindIs "slice" $values.topologySpreadConstraints }}
{{- $_ := set $pod "topologySpreadConstraints" $values.topologySpreadConstraints }}
{{- end }}
{{- $_ := set $pod "priorityClassName" $values.priorityClassName }}
{{- if not $values.priorityClassName }}{{ $_ := unset $pod "priorityClassName" }}{{ end }}
{{- with $values.extraVolumes }}{{ $_ := set $pod "volumes" (concat $pod.volumes .) }}{{ end }}
{{- with $values.extraVolumeMounts }}{{ $_ := set $container "volumeMounts" (concat $container.volumeMounts .) }}{{ end }}
{{- range $env := include "amp.settings" .root | fromYamlArray }}
{{- include "amp.env" (dict "container" $container "env" $env) }}
{{- end }}
{{- end -}}

{{/* amp.settings is the environment that the values ask for, as a YAML list. */}}
{{- define "amp.settings" -}}
{{- $values := .Values }}
{{- $sink := $values.events.sink }}
{{- $env := list }}
{{- if and $values.audit.enabled (not $sink) }}{{ $sink = "http://audit.amp-audit.svc" }}{{ end }}
{{- if and (eq $values.events.mode "required") (not $sink) }}
{{- fail "events.mode is required, so amp does not start without a sink: set events.sink, or audit.enabled=true" }}
{{- end }}
{{- with $values.endpoints.allow }}{{ $env = append $env (dict "name" "AMP_ENDPOINT_ALLOW" "value" (join " " .)) }}{{ end }}
{{- if kindIs "slice" $values.patch.deny }}
{{- $env = append $env (dict "name" "AMP_PATCH_DENY" "value" (join " " $values.patch.deny | default "none")) }}
{{- end }}
{{- with $values.events.mode }}{{ $env = append $env (dict "name" "AMP_EVENTS" "value" .) }}{{ end }}
{{- with $values.events.level }}{{ $env = append $env (dict "name" "AMP_EVENTS_LEVEL" "value" .) }}{{ end }}
{{- with $values.events.source }}{{ $env = append $env (dict "name" "AMP_EVENTS_SOURCE" "value" .) }}{{ end }}
{{- with $sink }}{{ $env = append $env (dict "name" "K_SINK" "value" .) }}{{ end }}
{{- /* The token is for the audit function, or a front of it. Nobody else may read it: over http, the address must be its own. */}}
{{- $to := $values.settings.K_SINK | default $sink }}
{{- $own := regexMatch "^http://audit\\.amp-audit(\\.svc(\\.cluster\\.local)?)?(:80)?(/|$)" $to }}
{{- if and $values.audit.enabled $values.audit.tokens.write (or $own (hasPrefix "https:" $to)) }}
{{- $env = append $env (dict "name" "AMP_EVENTS_TOKEN_FILE" "value" "/etc/amp/events/token") }}
{{- if $own }}{{ $env = append $env (dict "name" "AMP_EVENTS_TOKEN_INSECURE" "value" "true") }}{{ end }}
{{- end }}
{{- toYaml (concat $env $values.extraEnv (include "amp.variables" $values.settings | fromYamlArray)) }}
{{- end -}}

{{/* amp.audit changes the Deployment of the audit function. */}}
{{- define "amp.audit" -}}
{{- $values := .root.Values.audit }}
{{- $spec := .object.spec }}
{{- $pod := $spec.template.spec }}
{{- $container := first $pod.containers }}
{{- include "amp.pod" (dict "pod" $pod "root" .root "image" .root.Values.endpointsImage) }}
{{- include "amp.memory" (dict "container" $container "resources" $values.resources "share" 16) }}
{{- range $key := list "nodeSelector" "tolerations" }}
{{- with get $values $key }}{{ $_ := set $pod $key . }}{{ end }}
{{- end }}
{{- with $values.retention }}
{{- include "amp.env" (dict "container" $container "env" (dict "name" "AMP_AUDIT_RETENTION" "value" .)) }}
{{- end }}
{{- if eq $values.store "postgres" }}
{{- with $values.replicas }}{{ $_ := set $spec "replicas" . }}{{ end }}
{{- $url := dict "secretKeyRef" (dict "name" $values.postgres.secret "key" "url") }}
{{- $read := dict "secretKeyRef" (dict "name" $values.postgres.secret "key" "read-url") }}
{{- range $e := $container.env }}
{{- if eq $e.name "AMP_AUDIT_DB" }}{{ $_ := set $e "valueFrom" $url }}{{ end }}
{{- end }}
{{- range $v := $pod.volumes }}
{{- if eq $v.name "postgres" }}{{ $_ := set $v.secret "secretName" $values.postgres.secret }}{{ end }}
{{- end }}
{{- if $values.postgres.reader }}
{{- include "amp.env" (dict "container" $container "env" (dict "name" "AMP_AUDIT_DB_READ" "valueFrom" $read)) }}
{{- include "amp.env" (dict "container" $container "env" (dict "name" "AMP_AUDIT_DB_READ_PASSWORD_FILE" "value" "/etc/audit/postgres/read-password")) }}
{{- end }}
{{- else if gt (int $values.replicas) 1 }}
{{- fail "audit.replicas: only one process may use SQLite's file; set audit.store=postgres" }}
{{- end }}
{{- range $way := list "read" "write" }}
{{- if get $values.tokens $way }}
{{- include "amp.env" (dict "container" $container "env" (dict "name" (printf "AMP_AUDIT_%s_TOKEN_FILE" (upper $way)) "value" (printf "/etc/audit/%s/token" $way))) }}
{{- $_ := set $container "volumeMounts" (append $container.volumeMounts (dict "name" (printf "%s-token" $way) "mountPath" (printf "/etc/audit/%s" $way) "readOnly" true)) }}
{{- $_ := set $pod "volumes" (append $pod.volumes (dict "name" (printf "%s-token" $way) "secret" (dict "secretName" (printf "audit-%s" $way) "defaultMode" 288))) }}
{{- end }}
{{- end }}
{{- range $env := include "amp.variables" $values.settings | fromYamlArray }}
{{- include "amp.env" (dict "container" $container "env" $env) }}
{{- end }}
{{- end -}}
