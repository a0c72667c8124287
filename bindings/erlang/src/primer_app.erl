%% @private The OTP application. See {@link primer} for its configuration.
-module(primer_app).
-behaviour(application).

-export([start/2, stop/1]).

-spec start(application:start_type(), term()) -> {ok, pid()} | {error, term()}.
start(_Type, _Args) ->
    case primer_sup:start_link() of
        {ok, _} = Started -> Started;
        {error, _} = Error -> Error
    end.

-spec stop(term()) -> ok.
stop(_State) ->
    ok.
